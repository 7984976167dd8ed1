-- Addresses in one line of text, the large before the small.
-- :table
CREATE TABLE neshani (
  id bigserial PRIMARY KEY,
  noe text NOT NULL CHECK (noe IN ('jadid', 'payan', 'eslah', 'hazf')),
  code_meli text NOT NULL,
  codeposti text,
  matn_neshani text,
  az date NOT NULL,
  sabt timestamptz NOT NULL,
  payam uuid NOT NULL,
  payam_ghabl uuid
);
-- :fill
INSERT INTO neshani (noe, code_meli, codeposti, matn_neshani, az, sabt, payam, payam_ghabl)
SELECT CASE change_kind WHEN 'created' THEN 'jadid' WHEN 'ceased' THEN 'payan' WHEN 'corrected' THEN 'eslah' ELSE 'hazf' END,
       national_id, postal_code, province || '، ' || city || '، ' || street, effective_from, recorded_at, event_id, previous_event_id
FROM journal ORDER BY entry
-- :changes
SELECT payam, payam_ghabl, noe, code_meli, az, to_char(sabt AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US') AS sabt, codeposti,
       split_part(matn_neshani, '، ', 1) AS ostan, split_part(matn_neshani, '، ', 2) AS shahr,
       split_part(matn_neshani, '، ', 3) AS khiaban
FROM neshani ORDER BY id
