-- Contracts of work as employers file them; wages in tomans, ten rials each.
-- :table
CREATE TABLE gharardad_kar (
  id bigserial PRIMARY KEY,
  noe_taghyir char(1) NOT NULL CHECK (noe_taghyir IN ('N', 'T', 'C', 'V')), -- new, terminated, corrected, void
  kod_melli text NOT NULL,
  shomare_gharardad text NOT NULL,
  karfarma text,
  kod_shoghl text,
  noe_gharardad text CHECK (noe_gharardad IN ('daem', 'movaghat', 'fasli')),
  faal boolean,
  tarikh_payan_kar date,
  ellat_payan text,
  dastmozd_toman numeric(14, 1),
  az date NOT NULL,
  sabt_shode timestamptz NOT NULL,
  payam_id uuid NOT NULL,
  payam_ghabl_id uuid
);
-- :fill
INSERT INTO gharardad_kar (noe_taghyir, kod_melli, shomare_gharardad, karfarma, kod_shoghl, noe_gharardad, faal, tarikh_payan_kar,
                           ellat_payan, dastmozd_toman, az, sabt_shode, payam_id, payam_ghabl_id)
SELECT CASE change_kind WHEN 'created' THEN 'N' WHEN 'ceased' THEN 'T' WHEN 'corrected' THEN 'C' ELSE 'V' END,
       national_id, record_key, employer_name, occupation_code,
       CASE contract_kind WHEN 'permanent' THEN 'daem' WHEN 'fixed_term' THEN 'movaghat' WHEN 'seasonal' THEN 'fasli' END,
       status = 'active', ended_on, end_reason, monthly_wage_rials / 10.0, effective_from, recorded_at, event_id, previous_event_id
FROM journal ORDER BY entry
-- :changes
SELECT payam_id AS event_id,
       CASE noe_taghyir WHEN 'N' THEN 'created' WHEN 'T' THEN 'ceased' WHEN 'C' THEN 'corrected' ELSE 'annulled' END AS change_kind,
       payam_ghabl_id AS previous_event_id, kod_melli AS national_id, shomare_gharardad AS record_key,
       az AS effective_from, NULL::date AS effective_to, sabt_shode AS recorded_at,
       shomare_gharardad AS employment_number, karfarma AS employer_name, kod_shoghl AS occupation_code,
       CASE noe_gharardad WHEN 'daem' THEN 'permanent' WHEN 'movaghat' THEN 'fixed_term' ELSE 'seasonal' END AS contract_kind,
       CASE WHEN faal THEN 'active' ELSE 'ended' END AS status, tarikh_payan_kar AS ended_on, ellat_payan AS end_reason,
       (dastmozd_toman * 10)::bigint AS monthly_wage_rials
FROM gharardad_kar ORDER BY id
