-- The processes that answer requests for evidence. Every answer to an access of an instance from before
-- `answered_until` was handed over, or its caller had gone; of later ones nobody knows when the instance dies.
CREATE TABLE IF NOT EXISTS yekbar.evidence_instances (
  instance uuid PRIMARY KEY,
  started_at timestamptz NOT NULL,
  answered_until timestamptz NOT NULL
)
