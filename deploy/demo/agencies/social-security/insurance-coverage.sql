-- The insured, as the branches key them in: ids in Persian digits.
-- :table
CREATE TABLE bimeh_shode (
  id bigserial PRIMARY KEY,
  amal text NOT NULL CHECK (amal IN ('درج', 'خاتمه', 'اصلاح', 'ابطال')),
  code_melli text NOT NULL,
  noe_bimeh smallint, -- 1 ejbari, 2 ekhtiyari, 3 bikari, 0 bedune bimeh
  mah_pardakht integer,
  shobe text,
  akharin_pardakht date,
  az_tarikh date NOT NULL,
  zaman_sabt timestamptz NOT NULL,
  shenase_payam uuid NOT NULL,
  shenase_payam_ghabl uuid
);
-- :fill
INSERT INTO bimeh_shode (amal, code_melli, noe_bimeh, mah_pardakht, shobe, akharin_pardakht, az_tarikh, zaman_sabt, shenase_payam, shenase_payam_ghabl)
SELECT CASE change_kind WHEN 'created' THEN 'درج' WHEN 'ceased' THEN 'خاتمه' WHEN 'corrected' THEN 'اصلاح' ELSE 'ابطال' END,
       translate(national_id, '0123456789', '۰۱۲۳۴۵۶۷۸۹'),
       CASE coverage_kind WHEN 'mandatory' THEN 1 WHEN 'voluntary' THEN 2 WHEN 'unemployment' THEN 3 WHEN 'none' THEN 0 END,
       premium_months, branch_code, last_premium_on, effective_from, recorded_at, event_id, previous_event_id
FROM journal ORDER BY entry
-- :changes
SELECT shenase_payam AS event_id,
       CASE amal WHEN 'درج' THEN 'created' WHEN 'خاتمه' THEN 'ceased' WHEN 'اصلاح' THEN 'corrected' ELSE 'annulled' END AS change_kind,
       shenase_payam_ghabl AS previous_event_id, code_melli AS national_id, '' AS record_key,
       az_tarikh AS effective_from, NULL::date AS effective_to, zaman_sabt AS recorded_at,
       (ARRAY['none', 'mandatory', 'voluntary', 'unemployment'])[noe_bimeh + 1] AS coverage_kind,
       mah_pardakht AS premium_months, shobe AS branch_code, akharin_pardakht AS last_premium_on
FROM bimeh_shode ORDER BY id
