-- What each source has sent, by its events and by its own last word, and what of it was received; everything that it had
-- sent until `whole_until` is in the view.
SELECT view, source, sent AS highest_sequence, received, recorded_at, heard_at, whole_until
FROM yekbar.source_completeness
LEFT JOIN (
  SELECT view, source, max(recorded_at) AS recorded_at FROM yekbar.sources GROUP BY view, source
) AS last USING (view, source)
ORDER BY view, source
