-- Changes whose events the broker has leave the outbox, and their promise goes with them; what else lies among them
-- stays: refused ones, and those of other record types.
WITH gone AS (
  DELETE FROM {schema}.changes
  WHERE (xid, number) >= (%(since_xid)s::text::xid8, %(since_number)s)
    AND (xid, number) <= (%(until_xid)s::text::xid8, %(until_number)s)
    AND record_type = %(record_type)s
    AND event_id IN (
      SELECT encode(substring(%(event_ids)s::bytea FROM place FOR 16), 'hex')::uuid
      FROM generate_series(1, length(%(event_ids)s::bytea), 16) AS place
    )
)
DELETE FROM {schema}.promises WHERE source = %(source)s AND first_sequence = %(first_sequence)s
