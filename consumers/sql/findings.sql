-- What quality rules found: an event a rule, written in the transaction that applies the event. A finding is open until
-- its event is corrected or annulled (`undone_at`) or, for a rule across registers, until the other register knows the
-- person (`settled_at`); either may be taken back. The topic is fed from here: what changes is announced again.
-- Its key leads with the subject, as that of `facts`: whatever is asked in the write path is asked of some persons.
CREATE SCHEMA IF NOT EXISTS quality;
CREATE TABLE IF NOT EXISTS quality.findings (
  finding bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
  agency text NOT NULL,
  record_type text NOT NULL,
  rule text NOT NULL,
  field text NOT NULL,
  subject uuid NOT NULL,
  event_id uuid NOT NULL,
  partition integer NOT NULL,
  position bigint NOT NULL,
  known_at timestamptz NOT NULL,
  found_at timestamptz NOT NULL DEFAULT now(),
  undone_at timestamptz,
  settled_at timestamptz,
  is_open boolean GENERATED ALWAYS AS (undone_at IS NULL AND settled_at IS NULL) STORED,
  announced_at timestamptz,
  PRIMARY KEY (subject, event_id, record_type, rule)
);
CREATE INDEX IF NOT EXISTS findings_open ON quality.findings (record_type, rule) WHERE is_open;
CREATE INDEX IF NOT EXISTS findings_unannounced ON quality.findings (finding) WHERE announced_at IS NULL;
-- How far rules across registers have been judged: by rule, along its own log and along the other register's.
CREATE TABLE IF NOT EXISTS quality.judged (
  record_type text NOT NULL,
  rule text NOT NULL,
  view text NOT NULL,
  partition integer NOT NULL,
  next_position bigint NOT NULL,
  PRIMARY KEY (record_type, rule, view, partition)
);
CREATE OR REPLACE VIEW quality.findings_by_rule AS
SELECT agency, record_type, rule, field, count(*) AS found, count(*) FILTER (WHERE is_open) AS open,
       min(known_at) FILTER (WHERE is_open) AS open_since, max(known_at) AS last_found
FROM quality.findings GROUP BY agency, record_type, rule, field
