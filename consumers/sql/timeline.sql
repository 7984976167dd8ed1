-- Best present knowledge: each live fact from its start until the earlier of its own end and the next start. Of facts
-- with one start the latest in the log wins. A person's events lie in one partition, so positions order them.
-- Change kinds are stored as their place in the Avro enum: 0 created, 1 ceased, 2 corrected, 3 annulled.
CREATE OR REPLACE VIEW {schema}.timeline AS
SELECT subject, record_key, effective_from,
       least(effective_to, lead(effective_from) OVER (PARTITION BY subject, record_key ORDER BY effective_from)) AS effective_to,
       change_kind = 1 AS ceased, event_id, change_kind, recorded_at, known_at, partition, position, {under_investigation}{body}
FROM (
  SELECT DISTINCT ON (subject, record_key, effective_from) *
  FROM {schema}.facts
  WHERE voided_by IS NULL AND change_kind <> 3
  ORDER BY subject, record_key, effective_from, position DESC
) AS live;
