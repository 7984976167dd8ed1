-- Findings that the topic does not have yet, or not as they are now.
SELECT finding, agency, record_type, rule, field, subject, event_id, partition, position, known_at, found_at,
       undone_at, settled_at
FROM quality.findings WHERE announced_at IS NULL ORDER BY finding LIMIT %(limit)s
