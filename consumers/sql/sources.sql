-- What was received of each source, by partition. A source numbers its events densely from 1: where the sum over the
-- partitions of `received` is below the greatest `highest_sequence`, an event was lost, or waits unread in quarantine.
CREATE TABLE IF NOT EXISTS yekbar.sources (
  view text NOT NULL,
  source text NOT NULL,
  partition integer NOT NULL,
  highest_sequence bigint NOT NULL,
  received bigint NOT NULL,
  recorded_at timestamptz NOT NULL,
  known_at timestamptz NOT NULL,
  PRIMARY KEY (view, source, partition)
)
;
-- What each source said of itself last, on the topic of heartbeats: all that it knew before `complete_until` is in the
-- log, and the last of it has `last_sequence`. `whole_until` is the latest such time at which all of it was received.
CREATE TABLE IF NOT EXISTS yekbar.heartbeats (
  view text NOT NULL,
  source text NOT NULL,
  last_sequence bigint NOT NULL,
  complete_until timestamptz NOT NULL,
  heard_at timestamptz NOT NULL,
  whole_until timestamptz,
  PRIMARY KEY (view, source)
);
CREATE OR REPLACE VIEW yekbar.source_completeness AS
SELECT view, source, coalesce(received, 0)::bigint AS received,
       greatest(highest_sequence, last_sequence, 0) AS sent,
       greatest(greatest(highest_sequence, last_sequence, 0) - coalesce(received, 0), 0)::bigint AS missing,
       greatest(known_at, heard_at) AS heard_at, complete_until, whole_until, last_sequence IS NOT NULL AS has_heart
FROM (
  SELECT view, source, max(highest_sequence) AS highest_sequence, sum(received) AS received, max(known_at) AS known_at
  FROM yekbar.sources GROUP BY view, source
) AS seen FULL JOIN yekbar.heartbeats USING (view, source)
