-- What waits in quarantine, by reason.
SELECT view, reason, count(*) AS waiting FROM yekbar.quarantine
WHERE state = 'waiting' GROUP BY view, reason ORDER BY view, reason
