-- Findings follow their events: one is undone while its event is void. Of the persons whose records were settled anew.
WITH touched AS MATERIALIZED (
  SELECT partition, position, rule, subject, event_id
  FROM unnest(%(subjects)s::uuid[]) AS asked (subject) JOIN quality.findings USING (subject)
  WHERE record_type = %(record_type)s
)
UPDATE quality.findings AS finding
SET undone_at = CASE WHEN facts.voided_by IS NOT NULL THEN now() END, announced_at = NULL
FROM touched JOIN {schema}.facts USING (subject, event_id)
WHERE finding.record_type = %(record_type)s
  AND (finding.partition, finding.position, finding.rule) = (touched.partition, touched.position, touched.rule)
  AND (finding.undone_at IS NULL) <> (facts.voided_by IS NULL)
