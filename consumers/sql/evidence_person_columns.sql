max({lead}.effective_from) AS _effective_from, min({lead}.effective_to) AS _effective_to,
max({lead}.recorded_at) AS _recorded_at, max({lead}.known_at) AS _known_at,
json_agg(json_build_object('record_type', {record_type}, 'event_id', {lead}.event_id,
                           'partition', {lead}.partition, 'position', {lead}.position)
         ORDER BY {lead}.position) AS _events,
ARRAY(
  SELECT DISTINCT unnest(string_to_array(string_agg(nullif(array_to_string({lead}.under_investigation, ','), ''), ','), ','))
  ORDER BY 1
) AS _under_investigation
