-- One page of a person's accesses, the newest first, from before an access or from the newest. `delivery` says whether
-- the answer was handed over: nobody knows of an instance that died before it had said so.
SELECT access_id, at, requester, procedure, case_reference, acting_user, representative IS NOT NULL AS was_represented,
       purpose, legal_basis, effective_at, known_at, decision, reason, evidence,
       CASE WHEN at < answered_until THEN 'delivered' ELSE 'possibly-delivered' END AS delivery
FROM yekbar.accesses LEFT JOIN yekbar.evidence_instances USING (instance)
WHERE subject = %(subject)s AND access_id < coalesce(%(before)s, 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid)
ORDER BY access_id DESC
LIMIT %(limit)s
