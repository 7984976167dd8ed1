-- What happened to lives: births and deaths, and what turned out to be wrong of them.
-- :table
CREATE TABLE vaghaye_hayat (
  radif bigserial PRIMARY KEY,
  noe text NOT NULL CHECK (noe IN ('sabt', 'khateme', 'islah', 'batel')),
  kod_melli varchar(10) NOT NULL,
  vaziyat text CHECK (vaziyat IN ('zende', 'fowt')),
  tarikh_fowt date,
  shomare_gavahi text,
  tarikh_asar date NOT NULL,
  zaman_sabt timestamptz NOT NULL DEFAULT now(),
  payam uuid NOT NULL DEFAULT uuidv7(),
  payam_ghabli uuid
);
-- :fill
INSERT INTO vaghaye_hayat (noe, kod_melli, vaziyat, tarikh_fowt, shomare_gavahi, tarikh_asar, zaman_sabt, payam, payam_ghabli)
SELECT CASE change_kind WHEN 'created' THEN 'sabt' WHEN 'ceased' THEN 'khateme' WHEN 'corrected' THEN 'islah' ELSE 'batel' END,
       national_id, CASE status WHEN 'alive' THEN 'zende' WHEN 'deceased' THEN 'fowt' END, death_date, certificate_number,
       effective_from, recorded_at, event_id, previous_event_id
FROM journal ORDER BY entry
-- :changes
SELECT payam AS event_id,
       CASE noe WHEN 'sabt' THEN 'created' WHEN 'khateme' THEN 'ceased' WHEN 'islah' THEN 'corrected' ELSE 'annulled' END AS change_kind,
       payam_ghabli AS previous_event_id, kod_melli AS national_id, '' AS record_key,
       tarikh_asar AS effective_from, NULL::date AS effective_to, zaman_sabt AS recorded_at,
       CASE vaziyat WHEN 'zende' THEN 'alive' WHEN 'fowt' THEN 'deceased' END AS status,
       tarikh_fowt AS death_date, shomare_gavahi AS certificate_number
FROM vaghaye_hayat ORDER BY radif
