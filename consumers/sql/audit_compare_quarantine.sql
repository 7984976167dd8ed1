-- Messages that the replay cannot take and the quarantine does not hold, or the other way round, or for another reason.
SELECT partition, position, passed_by.reason, held.reason, count(*) OVER () AS differences
FROM (SELECT * FROM {replayed}.passed_by WHERE reason <> 'duplicate') AS passed_by
FULL JOIN (SELECT partition, position, reason FROM yekbar.quarantine WHERE topic = %(topic)s) AS held
  USING (partition, position)
WHERE passed_by.reason IS DISTINCT FROM held.reason
ORDER BY 1, 2
LIMIT %(limit)s
