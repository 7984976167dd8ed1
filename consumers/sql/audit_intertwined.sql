-- The events of every person who has one that undoes another, or one that came again; each person's in log order.
WITH intertwined AS MATERIALIZED (
  SELECT subject FROM {schema}.facts WHERE previous_event_id IS NOT NULL
  UNION
  SELECT subject FROM {schema}.facts GROUP BY subject, event_id HAVING count(*) > 1
)
SELECT {names}
FROM {schema}.facts JOIN intertwined USING (subject)
ORDER BY subject, partition, position
