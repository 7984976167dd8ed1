-- Single findings, the newest first.
SELECT finding, agency, record_type, rule, field, event_id, partition, position, known_at, found_at, undone_at,
       settled_at, is_open
FROM quality.findings
WHERE (%(agency)s::text IS NULL OR agency = %(agency)s) AND (%(rule)s::text IS NULL OR rule = %(rule)s)
  AND (NOT %(only_open)s OR is_open)
ORDER BY finding DESC LIMIT %(limit)s
