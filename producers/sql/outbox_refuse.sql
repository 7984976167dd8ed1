-- Moves refused changes out of the relay's way.
WITH told AS (
  SELECT * FROM unnest(%(xids)s::xid8[], %(numbers)s::bigint[], %(reasons)s::text[], %(fields)s::text[], %(rules)s::text[])
    AS told (xid, number, reason, field, rule)
), moved AS (
  DELETE FROM {schema}.changes USING told
  WHERE changes.xid = told.xid AND changes.number = told.number
  RETURNING changes.*, told.reason, told.field, told.rule
)
INSERT INTO {schema}.refused (
  xid, number, event_id, record_type, national_id, change_kind, record_key, previous_event_id, effective_from,
  effective_to, recorded_at, under_investigation, body, reason, field, rule
)
SELECT
  xid, number, event_id, record_type, national_id, change_kind, record_key, previous_event_id, effective_from,
  effective_to, recorded_at, under_investigation, body, reason, field, rule
FROM moved
