-- Beside a replay's facts: the events of the log that are not among them, and why; and how far the log was read.
-- The facts have no key while they are loaded: a log may repeat an event, and only the fold says which one stays.
ALTER TABLE {schema}.facts DROP CONSTRAINT facts_pkey;
DROP INDEX {schema}.facts_log;
CREATE TABLE {schema}.passed_by (
  partition integer NOT NULL,
  position bigint NOT NULL,
  reason text NOT NULL
);
CREATE TABLE {schema}.read_to (
  partition integer PRIMARY KEY,
  next_position bigint NOT NULL
)
