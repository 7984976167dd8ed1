-- Members of cooperatives as provincial offices type them: ids in Arabic-Indic digits, in groups.
-- :table
CREATE TABLE ozviyat_taavoni (
  satr bigserial PRIMARY KEY,
  kar text NOT NULL CHECK (kar IN ('ozviyat', 'khoruj', 'eslah', 'ebtal')),
  kodmelli text NOT NULL,
  kod_taavoni text NOT NULL,
  nam_taavoni text,
  semat text CHECK (semat IN ('ozv', 'heyat modire', 'modir amel')),
  saham integer,
  az_ruz date NOT NULL,
  ta_ruz date,
  zaman timestamptz NOT NULL,
  kod_payam uuid NOT NULL,
  kod_payam_asli uuid
);
-- :fill
INSERT INTO ozviyat_taavoni (kar, kodmelli, kod_taavoni, nam_taavoni, semat, saham, az_ruz, ta_ruz, zaman, kod_payam, kod_payam_asli)
SELECT CASE change_kind WHEN 'created' THEN 'ozviyat' WHEN 'ceased' THEN 'khoruj' WHEN 'corrected' THEN 'eslah' ELSE 'ebtal' END,
       translate(left(national_id, 3) || ' ' || substr(national_id, 4, 6) || ' ' || substr(national_id, 10), '0123456789', '٠١٢٣٤٥٦٧٨٩'),
       record_key, cooperative_name,
       CASE role WHEN 'member' THEN 'ozv' WHEN 'board' THEN 'heyat modire' WHEN 'managing_director' THEN 'modir amel' END,
       share_count, effective_from, effective_to, recorded_at, event_id, previous_event_id
FROM journal ORDER BY entry
-- :changes
SELECT kod_payam AS event_id,
       CASE kar WHEN 'ozviyat' THEN 'created' WHEN 'khoruj' THEN 'ceased' WHEN 'eslah' THEN 'corrected' ELSE 'annulled' END AS change_kind,
       kod_payam_asli AS previous_event_id, kodmelli AS national_id, kod_taavoni AS record_key,
       az_ruz AS effective_from, ta_ruz AS effective_to, zaman AS recorded_at,
       kod_taavoni AS cooperative_number, nam_taavoni AS cooperative_name,
       CASE semat WHEN 'ozv' THEN 'member' WHEN 'heyat modire' THEN 'board' ELSE 'managing_director' END AS role, saham AS share_count
FROM ozviyat_taavoni ORDER BY satr
