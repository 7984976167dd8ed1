-- Every event of a record type as a row, and what became of it. The fill factor leaves room in the only b-tree for the
-- random order in which subjects arrive; the block range index finds the rows of a stretch of the log at almost no cost.
CREATE TABLE IF NOT EXISTS {schema}.facts (
  {columns},
  PRIMARY KEY (subject, event_id) WITH (fillfactor = 70)
);
CREATE INDEX IF NOT EXISTS facts_log ON {schema}.facts USING brin (partition, position);
