-- What was received of each source, over all partitions of its topic.
SELECT view, source, max(highest_sequence) AS highest_sequence, sum(received)::bigint AS received,
  max(recorded_at) AS recorded_at
FROM yekbar.sources GROUP BY view, source ORDER BY view, source
