-- The oldest changes behind a place in the outbox, none of which can get a neighbour any more. The order is that of the
-- table's column: an output column may not have its name, for it would be another type.
SELECT xid::text::bigint AS transaction, number, record_type, uuid_send(event_id), national_id, change_kind, record_key,
  uuid_send(previous_event_id),
  CASE WHEN isfinite(effective_from) THEN (extract(epoch FROM effective_from) * 1000000)::bigint END,
  CASE WHEN isfinite(effective_to) THEN (extract(epoch FROM effective_to) * 1000000)::bigint END,
  CASE WHEN isfinite(recorded_at) THEN (extract(epoch FROM recorded_at) * 1000000)::bigint END,
  under_investigation, body::text
FROM {schema}.changes
WHERE (xid, number) > (%(xid)s::xid8, %(number)s) AND xid < pg_snapshot_xmin(pg_current_snapshot())
ORDER BY changes.xid, changes.number
LIMIT %(limit)s
