-- How far each view has read its topic, and who may write: the truth about what was applied. It changes in the same
-- transaction as the facts; Kafka's own offsets are a lag hint only.
CREATE SCHEMA IF NOT EXISTS yekbar;
CREATE TABLE IF NOT EXISTS yekbar.positions (
  view text NOT NULL,
  partition integer NOT NULL,
  topic text NOT NULL,
  topic_id text NOT NULL,
  generation bigint NOT NULL,
  next_position bigint NOT NULL,
  known_at timestamptz,
  caught_up_at timestamptz,
  PRIMARY KEY (view, partition)
)
