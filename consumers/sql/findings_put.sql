-- Writes what a batch's rules found; what a rebuild finds once more is there already.
INSERT INTO quality.findings (agency, record_type, rule, field, subject, event_id, partition, position, known_at)
SELECT %(agency)s, %(record_type)s, * FROM unnest(
  %(rules)s::text[], %(fields)s::text[], %(subjects)s::uuid[], %(event_ids)s::uuid[],
  %(partitions)s::integer[], %(positions)s::bigint[], %(known_at)s::timestamptz[]
)
ON CONFLICT (subject, event_id, record_type, rule) DO NOTHING
