-- Until when each view is complete: when it last stood at the end of its log, what its sources sent and is not there,
-- and when one of them was heard last. Instants in microseconds.
SELECT view, (extract(epoch FROM caught_up_at) * 1000000)::bigint, was_caught_up,
       coalesce(missing, 0)::bigint, (extract(epoch FROM heard_at) * 1000000)::bigint
FROM (
  SELECT view, min(caught_up_at) AS caught_up_at, count(*) = count(caught_up_at) AS was_caught_up
  FROM yekbar.positions GROUP BY view
) AS positions
LEFT JOIN (
  SELECT view, sum(missing) AS missing, max(heard_at) AS heard_at
  FROM (
    SELECT view, greatest(max(highest_sequence) - sum(received), 0) AS missing, max(known_at) AS heard_at
    FROM yekbar.sources GROUP BY view, source
  ) AS source GROUP BY view
) AS sources USING (view)
