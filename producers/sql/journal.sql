-- The journal of one source: what it has promised to publish and the broker has not yet acknowledged.
CREATE TABLE IF NOT EXISTS source (
  only INTEGER PRIMARY KEY CHECK (only = 1),
  name TEXT NOT NULL,
  topic TEXT NOT NULL,
  topic_id TEXT,
  next_sequence INTEGER NOT NULL
);
-- Events that were sent together: keys of 16 bytes each, values one after the other with their lengths.
CREATE TABLE IF NOT EXISTS promises (
  first_sequence INTEGER PRIMARY KEY,
  keys BLOB NOT NULL,
  lengths BLOB NOT NULL,
  contents BLOB NOT NULL
);
-- How far each partition of the log is known to hold no promise of this journal.
CREATE TABLE IF NOT EXISTS positions (
  partition INTEGER PRIMARY KEY,
  next_position INTEGER NOT NULL
);
-- Ids made from content: the same row read again is found here, and not sent again.
CREATE TABLE IF NOT EXISTS published (
  event_id BLOB PRIMARY KEY
) WITHOUT ROWID;
