-- One piece of evidence for each person, over all records of the view that hold; and one with no subject, which is the
-- piece of every person who has none.
WITH held AS MATERIALIZED ({held}), told AS (
  SELECT NULL::uuid AS _subject, {columns}{claims} FROM held AS {lead} WHERE false
  UNION ALL
  SELECT {lead}.subject, {columns}{claims} FROM held AS {lead} GROUP BY {lead}.subject
)
SELECT _subject, _proven, row_to_json(_piece)::text
FROM (SELECT told.*, {proven} AS _proven FROM told) AS _told
CROSS JOIN LATERAL (SELECT {agreed}) AS _agreed
CROSS JOIN LATERAL (
  SELECT {claims_json} AS claims, _effective_from AS effective_from, _effective_to AS effective_to,
         _recorded_at AS recorded_at, _known_at AS known_at, coalesce(_events, '[]') AS events,
         _under_investigation AS under_investigation
) AS _piece
