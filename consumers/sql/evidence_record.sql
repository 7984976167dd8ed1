-- One piece of evidence for each record of the leading view that holds; the other views give one record a person.
-- Times are those of the whole piece: it holds while every record in it does, and is known since the last came in.
SELECT told.*, {proven} AS _proven FROM (
  SELECT {lead}.subject AS _subject,
         greatest({effective_from}) AS _effective_from, least({effective_to}) AS _effective_to,
         greatest({recorded_at}) AS _recorded_at, greatest({known_at}) AS _known_at,
         ARRAY[{event_id}] AS _event_ids, ARRAY[{partition}] AS _partitions, ARRAY[{position}] AS _positions,
         array_to_string({under_investigation}, ',') AS _under_investigation{claims}
  FROM {held}
  ORDER BY {lead}.subject, {lead}.record_key
) AS told
