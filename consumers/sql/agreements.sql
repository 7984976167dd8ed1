-- Every change to an agreement after the catalogue was written: never changed itself. `terms` is the whole agreement
-- where it is proposed. They are made one after the other, so `number` is their order. `written_by` lets a reader take only what is complete.
CREATE SCHEMA IF NOT EXISTS yekbar;
CREATE TABLE IF NOT EXISTS yekbar.agreement_changes (
  number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  change_id uuid NOT NULL DEFAULT gen_random_uuid(),
  at timestamptz NOT NULL,
  agreement text NOT NULL,
  kind text NOT NULL CHECK (kind IN ('proposed', 'accepted', 'suspended', 'resumed', 'revoked')),
  agency text NOT NULL,
  reason text,
  terms json CHECK ((terms IS NOT NULL) = (kind = 'proposed')),
  written_by xid8 NOT NULL DEFAULT pg_current_xact_id()
);
CREATE OR REPLACE FUNCTION yekbar.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '% on yekbar.% is refused: it is append-only', tg_op, tg_table_name USING ERRCODE = 'insufficient_privilege';
END
$$;
CREATE OR REPLACE TRIGGER agreement_changes_stay BEFORE UPDATE OR DELETE OR TRUNCATE ON yekbar.agreement_changes
  FOR EACH STATEMENT EXECUTE FUNCTION yekbar.refuse_change()
