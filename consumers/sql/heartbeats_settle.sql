-- Moves the time up to which everything that a source had sent is there, for those of which nothing is missing.
UPDATE yekbar.heartbeats AS beat SET whole_until = beat.complete_until
FROM yekbar.source_completeness AS now
WHERE (now.view, now.source) = (beat.view, beat.source) AND now.missing = 0
  AND beat.whole_until IS DISTINCT FROM beat.complete_until
