-- The records of one batch, given as one JSON array: a single parameter costs a fraction of one array a column.
INSERT INTO yekbar.accesses (access_id, at, requester, procedure, subject, case_reference, acting_user, representative,
                             purpose, legal_basis, effective_at, known_at, decision, reason, evidence, instance)
SELECT access_id, at, requester, procedure, subject, case_reference, acting_user, representative,
       purpose, legal_basis, effective_at, known_at, decision, reason, evidence, {instance}
FROM json_to_recordset($1::json) AS asked (
  access_id uuid, at timestamptz, requester text, procedure text, subject uuid, case_reference text, acting_user text,
  representative uuid, purpose text, legal_basis text, effective_at timestamptz, known_at timestamptz,
  decision text, reason text, evidence json)
