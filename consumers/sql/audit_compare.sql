-- The rows in which a live view and the replay of its log differ: where they are and in which columns, never what they
-- say. A row that both have is placed where the log has it.
SELECT coalesce(replayed.partition, live.partition), coalesce(replayed.position, live.position), event_id,
       live.event_id IS NULL AS is_missing, replayed.event_id IS NULL AS is_extra,
       array_remove(ARRAY[{differing}], NULL) AS columns, passed_by.reason, count(*) OVER () AS differences
FROM {live}.facts AS live
FULL JOIN {replayed}.facts AS replayed USING (subject, event_id)
LEFT JOIN {replayed}.passed_by ON replayed.event_id IS NULL
  AND (passed_by.partition, passed_by.position) = (live.partition, live.position)
WHERE live.event_id IS NULL OR replayed.event_id IS NULL OR ({live_columns}) IS DISTINCT FROM ({replayed_columns})
ORDER BY 1, 2
LIMIT %(limit)s
