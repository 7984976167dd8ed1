-- The staged events that were not taken, and whether each says the same as the event that was.
SELECT staged.partition, staged.position, ({staged}) IS NOT DISTINCT FROM ({original})
FROM stage AS staged JOIN {schema}.facts AS original USING (subject, event_id)
WHERE (staged.partition, staged.position) <> (original.partition, original.position)
