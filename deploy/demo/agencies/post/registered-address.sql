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
SELECT payam AS event_id,
       CASE noe WHEN 'jadid' THEN 'created' WHEN 'payan' THEN 'ceased' WHEN 'eslah' THEN 'corrected' ELSE 'annulled' END AS change_kind,
       payam_ghabl AS previous_event_id, code_meli AS national_id, '' AS record_key,
       az AS effective_from, NULL::date AS effective_to, sabt AS recorded_at, codeposti AS postal_code,
       split_part(matn_neshani, '، ', 1) AS province, split_part(matn_neshani, '، ', 2) AS city,
       split_part(matn_neshani, '، ', 3) AS street
FROM neshani ORDER BY id
