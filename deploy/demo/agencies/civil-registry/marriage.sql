-- Marriages, a line for each of the couple.
-- :table
CREATE TABLE tbl_ezdevaj (
  radif bigserial PRIMARY KEY,
  noe text NOT NULL CHECK (noe IN ('sabt', 'khateme', 'islah', 'batel')),
  kod_melli varchar(10) NOT NULL,
  shomare_sanad text NOT NULL,
  vaziyat smallint CHECK (vaziyat IN (1, 2, 3)), -- 1 mozdavaj, 2 motallaghe, 3 hamsar fowt shode
  tarikh_sabt date,
  tarikh_asar date NOT NULL,
  zaman_sabt timestamptz NOT NULL,
  payam uuid NOT NULL,
  payam_ghabli uuid
);
-- :fill
INSERT INTO tbl_ezdevaj (noe, kod_melli, shomare_sanad, vaziyat, tarikh_sabt, tarikh_asar, zaman_sabt, payam, payam_ghabli)
SELECT CASE change_kind WHEN 'created' THEN 'sabt' WHEN 'ceased' THEN 'khateme' WHEN 'corrected' THEN 'islah' ELSE 'batel' END,
       national_id, record_key, CASE status WHEN 'married' THEN 1 WHEN 'divorced' THEN 2 WHEN 'widowed' THEN 3 END,
       registered_on, effective_from, recorded_at, event_id, previous_event_id
FROM journal ORDER BY entry
-- :changes
SELECT payam AS event_id,
       CASE noe WHEN 'sabt' THEN 'created' WHEN 'khateme' THEN 'ceased' WHEN 'islah' THEN 'corrected' ELSE 'annulled' END AS change_kind,
       payam_ghabli AS previous_event_id, kod_melli AS national_id, shomare_sanad AS record_key,
       tarikh_asar AS effective_from, NULL::date AS effective_to, zaman_sabt AS recorded_at,
       shomare_sanad AS marriage_number,
       CASE vaziyat WHEN 1 THEN 'married' WHEN 2 THEN 'divorced' ELSE 'widowed' END AS status, tarikh_sabt AS registered_on
FROM tbl_ezdevaj ORDER BY radif
