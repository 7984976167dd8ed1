-- The records of one batch, each column an array.
INSERT INTO yekbar.accesses (access_id, at, requester, procedure, subject, case_reference, acting_user,
                             represented_party, purpose, legal_basis, effective_at, known_at, decision, reason, evidence)
SELECT access_id, at, requester, procedure, subject, case_reference, acting_user,
       represented_party, purpose, legal_basis, effective_at, known_at, decision, reason, evidence::jsonb
FROM unnest(%s::uuid[], %s::timestamptz[], %s::text[], %s::text[], %s::uuid[], %s::text[], %s::text[],
            %s::text[], %s::text[], %s::text[], %s::timestamptz[], %s::timestamptz[], %s::text[], %s::text[], %s::text[])
  AS asked (access_id, at, requester, procedure, subject, case_reference, acting_user,
            represented_party, purpose, legal_basis, effective_at, known_at, decision, reason, evidence)
