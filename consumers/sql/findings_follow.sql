-- Findings follow their events: one is undone while its event is void. Of the persons whose records were settled anew.
WITH touched AS MATERIALIZED (
  SELECT finding, subject, event_id, record_type, undone_at FROM quality.findings WHERE subject = ANY (%(subjects)s::uuid[])
), changed AS MATERIALIZED (
  SELECT finding, voided_by FROM touched JOIN {schema}.facts USING (subject, event_id)
  WHERE record_type = %(record_type)s AND (undone_at IS NULL) <> (voided_by IS NULL)
)
UPDATE quality.findings AS found
SET undone_at = CASE WHEN voided_by IS NOT NULL THEN now() END, announced_at = NULL
FROM changed WHERE found.finding = changed.finding
