-- The outbox of an agency: its application writes a change here, in the transaction that makes the change.
-- {schema} is the database schema. PostgreSQL 13 or newer; harmless when run again.
CREATE SCHEMA IF NOT EXISTS {schema};

-- A UUID of version 7 (RFC 9562): the time in milliseconds, then chance.
CREATE OR REPLACE FUNCTION {schema}.new_event_id() RETURNS uuid LANGUAGE sql VOLATILE PARALLEL SAFE AS $$
  SELECT encode(set_bit(set_bit(overlay(uuid_send(gen_random_uuid()) PLACING
    substring(int8send(floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint) FROM 3) FROM 1 FOR 6),
    52, 1), 53, 1), 'hex')::uuid
$$;

-- What the application writes. xid says which transaction wrote a row: the relay takes only rows whose transaction,
-- and every one before it, has ended, so that none can appear behind its back.
CREATE TABLE IF NOT EXISTS {schema}.changes (
  xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
  number bigint GENERATED ALWAYS AS IDENTITY,
  event_id uuid NOT NULL DEFAULT {schema}.new_event_id(),
  record_type text NOT NULL,
  national_id text NOT NULL,
  change_kind text NOT NULL DEFAULT 'created'
    CHECK (change_kind IN ('created', 'ceased', 'corrected', 'annulled')),
  record_key text,
  previous_event_id uuid,
  effective_from timestamptz NOT NULL,
  effective_to timestamptz,
  recorded_at timestamptz NOT NULL DEFAULT now(),
  under_investigation text[] NOT NULL DEFAULT '{{}}',
  body jsonb,
  PRIMARY KEY (xid, number)
);

-- What the relay keeps: for each source its next sequence, and how far each partition of its topic holds no promise.
CREATE TABLE IF NOT EXISTS {schema}.sources (
  source text PRIMARY KEY,
  topic text NOT NULL,
  topic_id text,
  next_sequence bigint NOT NULL,
  positions jsonb NOT NULL DEFAULT '{{}}'
);

-- Events that have their sequences and are on their way: sent again, as they are, when the relay was broken off.
CREATE TABLE IF NOT EXISTS {schema}.promises (
  source text NOT NULL REFERENCES {schema}.sources,
  first_sequence bigint NOT NULL,
  since_xid xid8 NOT NULL,
  since_number bigint NOT NULL,
  until_xid xid8 NOT NULL,
  until_number bigint NOT NULL,
  keys bytea NOT NULL,
  lengths integer[] NOT NULL,
  contents bytea NOT NULL,
  PRIMARY KEY (source, first_sequence)
);
ALTER TABLE {schema}.promises ALTER COLUMN contents SET STORAGE EXTERNAL;

-- Changes that the desk refuses, for the agency to correct and write anew.
CREATE TABLE IF NOT EXISTS {schema}.refused (
  LIKE {schema}.changes,
  refused_at timestamptz NOT NULL DEFAULT now(),
  reason text NOT NULL,
  field text NOT NULL,
  rule text NOT NULL
);

-- Wakes the relay as soon as a transaction that wrote changes commits.
CREATE OR REPLACE FUNCTION {schema}.wake_relay() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_notify({channel}, '');
  RETURN NULL;
END
$$;
CREATE OR REPLACE TRIGGER wake_relay AFTER INSERT ON {schema}.changes
  FOR EACH STATEMENT EXECUTE FUNCTION {schema}.wake_relay();
