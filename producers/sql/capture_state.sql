-- Changes that came lately, so that those a connector sends again after a crash are known again.
CREATE TABLE IF NOT EXISTS captured (
  number INTEGER PRIMARY KEY,
  identity BLOB NOT NULL UNIQUE
)
