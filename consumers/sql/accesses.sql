-- Every request for evidence, granted or denied: written before the answer leaves, never changed. `subject` is null
-- where the request named no valid person. `evidence` says for each evidence type what became of it, under which
-- agreement, and which claims left; never a claim's value. `representative` is who acted for the person, null when she
-- acted herself; `instance` is the process that answered. `written_by` lets a reader take only what is complete; its
-- index costs an insert next to nothing, for it keeps bounds of whole stretches of the table.
CREATE SCHEMA IF NOT EXISTS yekbar;
CREATE TABLE IF NOT EXISTS yekbar.accesses (
  access_id uuid PRIMARY KEY,
  at timestamptz NOT NULL,
  requester text NOT NULL,
  procedure text,
  subject uuid,
  case_reference text,
  acting_user text,
  representative uuid,
  purpose text,
  legal_basis text,
  effective_at timestamptz,
  known_at timestamptz,
  decision text NOT NULL CHECK (decision IN ('granted', 'denied')),
  reason text,
  evidence json NOT NULL,
  instance uuid,
  written_by xid8 NOT NULL DEFAULT pg_current_xact_id()
);
ALTER TABLE yekbar.accesses ADD COLUMN IF NOT EXISTS representative uuid, ADD COLUMN IF NOT EXISTS instance uuid;
CREATE INDEX IF NOT EXISTS accesses_written_by ON yekbar.accesses USING brin ((written_by::text::bigint))
  WITH (pages_per_range = 32, autosummarize = on);
CREATE INDEX IF NOT EXISTS accesses_of_person ON yekbar.accesses (subject, access_id);
CREATE OR REPLACE FUNCTION yekbar.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '% on yekbar.% is refused: it is append-only', tg_op, tg_table_name USING ERRCODE = 'insufficient_privilege';
END
$$;
CREATE OR REPLACE TRIGGER accesses_stay BEFORE UPDATE OR DELETE OR TRUNCATE ON yekbar.accesses
  FOR EACH STATEMENT EXECUTE FUNCTION yekbar.refuse_change()
