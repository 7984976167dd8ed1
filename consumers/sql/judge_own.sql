-- Judges a stretch of a record type's own log by a rule across registers: whom the other register does not know.
-- What undoes another event may give back one that was void when its stretch was judged.
WITH stretch AS MATERIALIZED (
  SELECT subject, event_id, previous_event_id, change_kind, voided_by, partition, position, known_at FROM {own}.facts
  WHERE partition = %(partition)s AND position >= %(from)s AND position < %(to)s
), given_back AS MATERIALIZED (
  SELECT DISTINCT subject FROM stretch WHERE previous_event_id IS NOT NULL
), judged AS (
  SELECT subject, event_id, change_kind, voided_by, partition, position, known_at FROM stretch
  UNION
  SELECT subject, event_id, change_kind, voided_by, partition, position, known_at
  FROM given_back JOIN {own}.facts USING (subject) WHERE position < %(to)s
)
INSERT INTO quality.findings (agency, record_type, rule, field, subject, event_id, partition, position, known_at)
SELECT %(agency)s, %(record_type)s, %(rule)s, %(field)s, subject, event_id, partition, position, known_at
FROM judged
WHERE change_kind IN (0, 2) AND voided_by IS NULL AND NOT EXISTS (
  SELECT FROM {register}.facts AS known
  WHERE known.subject = judged.subject AND known.change_kind IN (0, 2) AND known.voided_by IS NULL
)
ON CONFLICT (subject, event_id, record_type, rule) DO NOTHING
