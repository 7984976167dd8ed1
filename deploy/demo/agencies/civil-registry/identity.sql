-- The journal of identities: each line registers, corrects (islah) or voids (batel) what is known of a person.
-- :table
CREATE TABLE tbl_person (
  radif bigserial PRIMARY KEY,
  kod_melli varchar(10) NOT NULL,
  nam text NOT NULL,
  nam_khanevadegi text NOT NULL,
  nam_latin text,
  nam_khanevadegi_latin text,
  nam_pedar text,
  tarikh_tavalod date NOT NULL,
  jensiyat smallint NOT NULL CHECK (jensiyat IN (1, 2)),
  kod_mahal_tavalod char(4) NOT NULL
);
CREATE TABLE tbl_sabt (
  radif bigserial PRIMARY KEY,
  noe text NOT NULL CHECK (noe IN ('sabt', 'khateme', 'islah', 'batel')),
  kod_melli varchar(10) NOT NULL,
  person bigint REFERENCES tbl_person,
  tarikh_asar date NOT NULL,
  zaman_sabt timestamptz NOT NULL,
  payam uuid NOT NULL,
  payam_ghabli uuid
);
-- :fill
WITH line AS (
  SELECT *, CASE WHEN given_name IS NOT NULL THEN nextval('tbl_person_radif_seq') END AS person FROM journal
), person AS (
  INSERT INTO tbl_person
  SELECT person, national_id, given_name, family_name, given_name_latin, family_name_latin, father_name, birth_date,
         CASE sex WHEN 'male' THEN 1 ELSE 2 END, birth_place_code
  FROM line WHERE person IS NOT NULL
)
INSERT INTO tbl_sabt (noe, kod_melli, person, tarikh_asar, zaman_sabt, payam, payam_ghabli)
SELECT (ARRAY['sabt', 'khateme', 'islah', 'batel'])[array_position(ARRAY['created', 'ceased', 'corrected', 'annulled'], change_kind)],
       national_id, person, effective_from, recorded_at, event_id, previous_event_id
FROM line ORDER BY entry
-- :changes
SELECT s.payam AS event_id,
       (ARRAY['created', 'ceased', 'corrected', 'annulled'])[array_position(ARRAY['sabt', 'khateme', 'islah', 'batel'], s.noe)] AS change_kind,
       s.payam_ghabli AS previous_event_id, s.kod_melli AS national_id, '' AS record_key,
       s.tarikh_asar AS effective_from, NULL::date AS effective_to, s.zaman_sabt AS recorded_at,
       p.nam AS given_name, p.nam_khanevadegi AS family_name, p.nam_latin AS given_name_latin,
       p.nam_khanevadegi_latin AS family_name_latin, p.nam_pedar AS father_name, p.tarikh_tavalod AS birth_date,
       CASE p.jensiyat WHEN 1 THEN 'male' ELSE 'female' END AS sex, p.kod_mahal_tavalod AS birth_place_code
FROM tbl_sabt AS s LEFT JOIN tbl_person AS p ON p.radif = s.person
ORDER BY s.radif
