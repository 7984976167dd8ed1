-- Until when each view is complete: when it last stood at the end of its log; what its sources sent, by their events and
-- their heartbeats, and is not there; when one of them was heard last; the time up to which all that the sources with a
-- heartbeat had sent was there; and when the quietest of those was heard. Instants in microseconds.
SELECT view, (extract(epoch FROM caught_up_at) * 1000000)::bigint, was_caught_up, coalesce(missing, 0)::bigint,
       (extract(epoch FROM heard_at) * 1000000)::bigint, (extract(epoch FROM whole_until) * 1000000)::bigint,
       (extract(epoch FROM quietest_at) * 1000000)::bigint
FROM (
  SELECT view, min(caught_up_at) AS caught_up_at, count(*) = count(caught_up_at) AS was_caught_up
  FROM yekbar.positions GROUP BY view
) AS positions
LEFT JOIN (
  SELECT view, sum(missing) AS missing, max(heard_at) AS heard_at,
         CASE WHEN count(*) FILTER (WHERE has_heart) = count(whole_until) THEN min(whole_until) END AS whole_until,
         min(heard_at) FILTER (WHERE has_heart) AS quietest_at
  FROM yekbar.source_completeness GROUP BY view
) AS sources USING (view)
