max({lead}.effective_from) AS _effective_from, min({lead}.effective_to) AS _effective_to,
max({lead}.recorded_at) AS _recorded_at, max({lead}.known_at) AS _known_at,
array_agg({lead}.event_id ORDER BY {lead}.position) AS _event_ids,
array_agg({lead}.partition ORDER BY {lead}.position) AS _partitions,
array_agg({lead}.position ORDER BY {lead}.position) AS _positions,
string_agg(nullif(array_to_string({lead}.under_investigation, ','), ''), ',') AS _under_investigation
