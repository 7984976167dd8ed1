-- What a table's sync has told, beside the journal of its source. Keys and contents are digests, persons are subjects.
-- A row without a digest is gone. `version` counts its changes, `history` has the events of it that count.
CREATE TABLE IF NOT EXISTS rows (
  key BLOB PRIMARY KEY,
  digest BLOB,
  version INTEGER NOT NULL,
  subject BLOB NOT NULL,
  record_key TEXT NOT NULL,
  history BLOB NOT NULL
) WITHOUT ROWID;
-- What was told since rows were last put in their order, written in the step that promises its events.
CREATE TABLE IF NOT EXISTS news (
  number INTEGER PRIMARY KEY,
  key BLOB NOT NULL,
  digest BLOB,
  version INTEGER NOT NULL,
  subject BLOB NOT NULL,
  record_key TEXT NOT NULL,
  history BLOB NOT NULL
);
-- How far the rounds have come, by name.
CREATE TABLE IF NOT EXISTS marks (
  name TEXT PRIMARY KEY,
  value TEXT NOT NULL
);
