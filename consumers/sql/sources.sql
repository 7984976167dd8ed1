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
