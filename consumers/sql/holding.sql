-- What holds at an instant, by best present knowledge.
SELECT subject, record_key, effective_from, effective_to, ceased, event_id, change_kind, recorded_at, known_at,
       partition, position, under_investigation{body}
FROM {schema}.timeline
WHERE subject = ANY (%(subjects)s) AND effective_from <= %(at)s
  AND (effective_to IS NULL OR effective_to > %(at)s) AND NOT ceased
