-- What the topic tells of accesses, for the life of a connection: beside the table they are compared in the database.
CREATE TEMPORARY TABLE IF NOT EXISTS access_told (
  access_id uuid NOT NULL, at timestamptz, requester text, procedure text, subject uuid, case_reference text,
  acting_user text, representative uuid, purpose text, legal_basis text, effective_at timestamptz, known_at timestamptz,
  decision text, reason text, evidence text, instance uuid, partition integer, position bigint, sequence bigint
);
TRUNCATE access_told
