-- One piece of evidence for each record of the leading view that holds; the other views give one record a person.
-- Times are those of the whole piece: it holds while every record in it does, and is known since the last came in.
SELECT _subject, _proven, row_to_json(_piece)::text
FROM (
  SELECT told.*, {proven} AS _proven
  FROM (
    SELECT {lead}.subject AS _subject, {lead}.record_key AS _record_key,
           greatest({effective_from}) AS _effective_from, least({effective_to}) AS _effective_to,
           greatest({recorded_at}) AS _recorded_at, greatest({known_at}) AS _known_at,
           {events} AS _events,
           {under_investigation} AS _under_investigation{claims}
    FROM {held}
  ) AS told
) AS _told
CROSS JOIN LATERAL (SELECT {agreed}) AS _agreed
CROSS JOIN LATERAL (
  SELECT {claims_json} AS claims, _effective_from AS effective_from, _effective_to AS effective_to,
         _recorded_at AS recorded_at, _known_at AS known_at, _events AS events,
         _under_investigation AS under_investigation
) AS _piece
ORDER BY _subject, _record_key
