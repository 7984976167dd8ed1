-- One piece of evidence for each person, over all records of the view that hold; and one with no subject, which is the
-- piece of every person who has none.
WITH held AS MATERIALIZED ({held}), told AS (
  SELECT NULL::uuid AS _subject, {columns}{claims} FROM held AS {lead} WHERE false
  UNION ALL
  SELECT {lead}.subject, {columns}{claims} FROM held AS {lead} GROUP BY {lead}.subject
)
SELECT told.*, {proven} AS _proven FROM told
