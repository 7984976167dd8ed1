-- One page of a person's accesses, the newest first, from before an access or from the newest.
SELECT access_id, at, requester, procedure, case_reference, acting_user, represented_party, purpose, legal_basis,
       effective_at, known_at, decision, reason, evidence
FROM yekbar.accesses
WHERE subject = %(subject)s AND access_id < coalesce(%(before)s, 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid)
ORDER BY access_id DESC
LIMIT %(limit)s
