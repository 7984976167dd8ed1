-- The key and the index of every table `facts`; that the key can be made proves that no event is there twice.
ALTER TABLE {schema}.facts ADD PRIMARY KEY (subject, event_id);
CREATE INDEX facts_log ON {schema}.facts USING brin (partition, position);
ANALYZE {schema}.facts
