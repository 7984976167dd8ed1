-- Judges anew the persons of a stretch of the other register's log: what was found of those it knows now is settled, and
-- what was settled of those it knows no longer is open again, or found for the first time.
WITH touched AS MATERIALIZED (
  SELECT subject, bool_or(previous_event_id IS NOT NULL) AS is_undoing FROM {register}.facts
  WHERE partition = %(partition)s AND position >= %(from)s AND position < %(to)s
  GROUP BY subject
), judged AS MATERIALIZED (
  SELECT subject, EXISTS (
    SELECT FROM {register}.facts AS known
    WHERE known.subject = touched.subject AND known.change_kind IN (0, 2) AND known.voided_by IS NULL
  ) AS is_known
  FROM touched
  WHERE is_undoing OR EXISTS (
    SELECT FROM quality.findings
    WHERE findings.subject = touched.subject AND record_type = %(record_type)s AND rule = %(rule)s
  )
), settled AS (
  UPDATE quality.findings SET settled_at = CASE WHEN is_known THEN now() END, announced_at = NULL
  FROM judged
  WHERE findings.subject = judged.subject AND record_type = %(record_type)s AND rule = %(rule)s
    AND (settled_at IS NOT NULL) <> is_known
)
INSERT INTO quality.findings (agency, record_type, rule, field, subject, event_id, partition, position, known_at)
SELECT %(agency)s, %(record_type)s, %(rule)s, %(field)s, subject, event_id, facts.partition, position, facts.known_at
FROM judged JOIN {own}.facts USING (subject)
JOIN quality.judged AS read ON read.record_type = %(record_type)s AND read.rule = %(rule)s
  AND read.view = %(record_type)s AND read.partition = facts.partition AND facts.position < read.next_position
WHERE NOT is_known AND change_kind IN (0, 2) AND voided_by IS NULL
ON CONFLICT (subject, event_id, record_type, rule) DO NOTHING
