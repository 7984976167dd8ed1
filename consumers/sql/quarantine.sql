-- Events that could not be applied, with all their context, until they are redriven or discarded. A row is written in
-- the transaction that passes the event by; the quarantine topic is fed from here, once the row is committed.
CREATE TABLE IF NOT EXISTS yekbar.quarantine (
  entry bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
  view text NOT NULL,
  topic text NOT NULL,
  partition integer NOT NULL,
  position bigint NOT NULL,
  reason text NOT NULL,
  detail text NOT NULL,
  known_at timestamptz NOT NULL,
  key bytea,
  value bytea,
  headers jsonb NOT NULL,
  quarantined_at timestamptz NOT NULL DEFAULT now(),
  announced_at timestamptz,
  state text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'redriven', 'discarded')),
  acted_at timestamptz,
  note text,
  PRIMARY KEY (topic, partition, position)
);
CREATE INDEX IF NOT EXISTS quarantine_unannounced ON yekbar.quarantine (entry) WHERE announced_at IS NULL
