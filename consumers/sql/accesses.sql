-- Every request for evidence, granted or denied: written before the answer leaves, never changed. `subject` is null
-- where the request named no valid person. `evidence` says for each evidence type what became of it, under which
-- agreement, and which claims left; never a claim's value. `written_by` lets a reader take only what is complete.
CREATE SCHEMA IF NOT EXISTS yekbar;
CREATE TABLE IF NOT EXISTS yekbar.accesses (
  access_id uuid PRIMARY KEY,
  at timestamptz NOT NULL,
  requester text NOT NULL,
  procedure text,
  subject uuid,
  case_reference text,
  acting_user text,
  represented_party text,
  purpose text,
  legal_basis text,
  effective_at timestamptz,
  known_at timestamptz,
  decision text NOT NULL CHECK (decision IN ('granted', 'denied')),
  reason text,
  evidence json NOT NULL,
  written_by xid8 NOT NULL DEFAULT pg_current_xact_id()
);
CREATE INDEX IF NOT EXISTS accesses_of_person ON yekbar.accesses (subject, access_id);
CREATE OR REPLACE FUNCTION yekbar.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '% on yekbar.% is refused: it is append-only', tg_op, tg_table_name USING ERRCODE = 'insufficient_privilege';
END
$$;
CREATE OR REPLACE TRIGGER accesses_stay BEFORE UPDATE OR DELETE OR TRUNCATE ON yekbar.accesses
  FOR EACH STATEMENT EXECUTE FUNCTION yekbar.refuse_change()
