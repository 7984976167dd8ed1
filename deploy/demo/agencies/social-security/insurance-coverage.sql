-- The insured, as the branches key them in: ids in Persian digits, days of the solar Hijri calendar as text.
-- :table
CREATE FUNCTION shamsi(ruz date) RETURNS text LANGUAGE sql IMMUTABLE STRICT AS $$
  SELECT translate(format('%s/%s/%s', 33 * n33 + 4 * n4 + n1 - 1595,
                          lpad((CASE WHEN d < 186 THEN d / 31 + 1 ELSE (d - 186) / 30 + 7 END)::text, 2, '0'),
                          lpad((CASE WHEN d < 186 THEN d % 31 + 1 ELSE (d - 186) % 30 + 1 END)::text, 2, '0')),
                   '0123456789', '۰۱۲۳۴۵۶۷۸۹')
  FROM (SELECT ruz - DATE '1970-01-01' + 1075195 AS days) AS a
  CROSS JOIN LATERAL (SELECT days / 12053 AS n33, days % 12053 AS d33) AS b
  CROSS JOIN LATERAL (SELECT d33 / 1461 AS n4, d33 % 1461 AS d4) AS c
  CROSS JOIN LATERAL (SELECT CASE WHEN d4 > 365 THEN (d4 - 1) / 365 ELSE 0 END AS n1,
                             CASE WHEN d4 > 365 THEN (d4 - 1) % 365 ELSE d4 END AS d) AS e
$$;
CREATE TABLE bimeh_shode (
  id bigserial PRIMARY KEY,
  amal text NOT NULL CHECK (amal IN ('درج', 'خاتمه', 'اصلاح', 'ابطال')),
  code_melli text NOT NULL,
  noe_bimeh smallint, -- 1 ejbari, 2 ekhtiyari, 3 bikari, 0 bedune bimeh
  mah_pardakht integer,
  shobe text,
  akharin_pardakht text,
  az_tarikh text NOT NULL,
  zaman_sabt timestamp NOT NULL,
  shenase_payam uuid NOT NULL,
  shenase_payam_ghabl uuid
);
-- :fill
INSERT INTO bimeh_shode (amal, code_melli, noe_bimeh, mah_pardakht, shobe, akharin_pardakht, az_tarikh, zaman_sabt, shenase_payam, shenase_payam_ghabl)
SELECT CASE change_kind WHEN 'created' THEN 'درج' WHEN 'ceased' THEN 'خاتمه' WHEN 'corrected' THEN 'اصلاح' ELSE 'ابطال' END,
       translate(national_id, '0123456789', '۰۱۲۳۴۵۶۷۸۹'),
       CASE coverage_kind WHEN 'mandatory' THEN 1 WHEN 'voluntary' THEN 2 WHEN 'unemployment' THEN 3 WHEN 'none' THEN 0 END,
       premium_months, branch_code, shamsi(last_premium_on), shamsi(effective_from), recorded_at, event_id, previous_event_id
FROM journal ORDER BY entry
-- :changes
SELECT * FROM bimeh_shode ORDER BY id
