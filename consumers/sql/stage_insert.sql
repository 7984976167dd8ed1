-- The first event of each id, where the table has none.
INSERT INTO {schema}.facts ({names})
SELECT {names} FROM (
  SELECT DISTINCT ON (subject, event_id) {names} FROM stage ORDER BY subject, event_id, partition, position
) AS first
ON CONFLICT (subject, event_id) DO NOTHING
