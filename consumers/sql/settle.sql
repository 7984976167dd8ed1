-- Tells anew which events of these records are void, from the latest event that undoes another back to the first: an
-- event that is void itself undoes nothing. Of two that undo one event the latest is named.
WITH RECURSIVE record AS MATERIALIZED (
  SELECT * FROM unnest(%(subjects)s::uuid[], %(keys)s::text[]) AS asked (subject, record_key)
), undoing AS MATERIALIZED (
  SELECT subject, record_key, event_id, previous_event_id,
         row_number() OVER (PARTITION BY subject, record_key ORDER BY position DESC) AS step
  FROM {schema}.facts JOIN record USING (subject, record_key)
  WHERE previous_event_id IS NOT NULL
), undone AS (
  SELECT subject, record_key, step, ARRAY[previous_event_id] AS void, previous_event_id AS event_id, event_id AS voided_by
  FROM undoing WHERE step = 1
  UNION ALL
  SELECT next.subject, next.record_key, next.step,
         CASE WHEN effective THEN before.void || next.previous_event_id ELSE before.void END,
         CASE WHEN effective THEN next.previous_event_id END,
         next.event_id
  FROM undone AS before
  JOIN undoing AS next ON (next.subject, next.record_key, next.step) = (before.subject, before.record_key, before.step + 1)
  CROSS JOIN LATERAL (
    SELECT next.event_id <> ALL (before.void) AND next.previous_event_id <> ALL (before.void) AS effective
  ) AS fate
), verdict AS (
  SELECT target.subject, target.event_id, undone.voided_by
  FROM (SELECT DISTINCT subject, previous_event_id AS event_id FROM undoing) AS target
  LEFT JOIN undone USING (subject, event_id)
)
UPDATE {schema}.facts SET voided_by = verdict.voided_by
FROM verdict
WHERE facts.subject = verdict.subject AND facts.event_id = verdict.event_id
  AND facts.voided_by IS DISTINCT FROM verdict.voided_by
