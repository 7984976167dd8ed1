-- How far each append-only table was brought onto its topic: after which row, how many rows that are, and where the
-- topic's partitions ended then. Whatever the topic holds beyond is looked at before anything is sent again.
CREATE SCHEMA IF NOT EXISTS yekbar;
CREATE TABLE IF NOT EXISTS yekbar.relays (
  topic text PRIMARY KEY,
  written_by xid8 NOT NULL,
  row_id text NOT NULL,
  sequence bigint NOT NULL,
  ends bigint[] NOT NULL,
  relayed_at timestamptz NOT NULL
)
