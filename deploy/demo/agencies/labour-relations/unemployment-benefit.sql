-- Decisions on the unemployment benefit; amounts in tomans, ten rials each.
-- :table
CREATE TABLE moghararri_bikari (
  id bigserial PRIMARY KEY,
  noe_taghyir char(1) NOT NULL CHECK (noe_taghyir IN ('N', 'T', 'C', 'V')), -- new, terminated, corrected, void
  kod_melli text NOT NULL,
  bar_gharar boolean,
  tedad_mah smallint,
  mablagh_toman numeric(14, 1),
  az date NOT NULL,
  sabt_shode timestamptz NOT NULL,
  payam_id uuid NOT NULL,
  payam_ghabl_id uuid
);
-- :fill
INSERT INTO moghararri_bikari (noe_taghyir, kod_melli, bar_gharar, tedad_mah, mablagh_toman, az, sabt_shode, payam_id, payam_ghabl_id)
SELECT CASE change_kind WHEN 'created' THEN 'N' WHEN 'ceased' THEN 'T' WHEN 'corrected' THEN 'C' ELSE 'V' END,
       national_id, status = 'granted', months_granted, monthly_amount_rials / 10.0, effective_from, recorded_at, event_id, previous_event_id
FROM journal ORDER BY entry
-- :changes
SELECT payam_id AS event_id,
       CASE noe_taghyir WHEN 'N' THEN 'created' WHEN 'T' THEN 'ceased' WHEN 'C' THEN 'corrected' ELSE 'annulled' END AS change_kind,
       payam_ghabl_id AS previous_event_id, kod_melli AS national_id, '' AS record_key,
       az AS effective_from, NULL::date AS effective_to, sabt_shode AS recorded_at,
       CASE WHEN bar_gharar THEN 'granted' ELSE 'ended' END AS status, tedad_mah::integer AS months_granted,
       (mablagh_toman * 10)::bigint AS monthly_amount_rials
FROM moghararri_bikari ORDER BY id
