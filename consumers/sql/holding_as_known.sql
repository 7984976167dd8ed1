-- What held at an instant by what was known at another. Which events are void is told anew, from the latest event that
-- undoes another back to the first: an event that is void itself undoes nothing.
WITH RECURSIVE known AS MATERIALIZED (
  SELECT * FROM {schema}.facts WHERE subject = ANY (%(subjects)s) AND known_at <= %(known_at)s
), undoing AS MATERIALIZED (
  SELECT subject, record_key, event_id, previous_event_id,
         row_number() OVER (PARTITION BY subject, record_key ORDER BY position DESC) AS step
  FROM known WHERE previous_event_id IS NOT NULL
), undone AS (
  SELECT subject, record_key, step, ARRAY[previous_event_id] AS void FROM undoing WHERE step = 1
  UNION ALL
  SELECT next.subject, next.record_key, next.step,
         CASE WHEN next.event_id = ANY (before.void) THEN before.void ELSE before.void || next.previous_event_id END
  FROM undone AS before JOIN undoing AS next
    ON (next.subject, next.record_key, next.step) = (before.subject, before.record_key, before.step + 1)
), last AS (
  SELECT DISTINCT ON (subject, record_key) subject, record_key, void FROM undone ORDER BY subject, record_key, step DESC
), live AS (
  SELECT DISTINCT ON (subject, record_key, effective_from) known.*
  FROM known LEFT JOIN last USING (subject, record_key)
  WHERE change_kind <> 3 AND event_id <> ALL (coalesce(last.void, '{{}}'))
  ORDER BY subject, record_key, effective_from, position DESC
), periods AS (
  SELECT subject, record_key, effective_from,
         least(effective_to, lead(effective_from) OVER (PARTITION BY subject, record_key ORDER BY effective_from)) AS effective_to,
         change_kind = 1 AS ceased, event_id, change_kind, recorded_at, known_at, partition, position, under_investigation{body}
  FROM live
)
SELECT * FROM periods
WHERE effective_from <= %(at)s AND (effective_to IS NULL OR effective_to > %(at)s) AND NOT ceased
