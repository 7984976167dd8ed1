-- Requests for evidence, the newest first; of one person, or since a time, where that is asked for.
SELECT access_id, at, requester, procedure, subject, case_reference, acting_user, representative, purpose, legal_basis,
       effective_at, known_at, decision, reason, evidence,
       CASE WHEN at < answered_until THEN 'delivered' ELSE 'possibly-delivered' END AS delivery
FROM yekbar.accesses LEFT JOIN yekbar.evidence_instances USING (instance)
WHERE (%(subject)s::uuid IS NULL OR subject = %(subject)s) AND (%(since)s::timestamptz IS NULL OR at >= %(since)s)
ORDER BY at DESC, access_id DESC
LIMIT %(limit)s
