-- Deeds; shares in dang, sixths of the whole.
-- :table
CREATE TABLE "SANAD" (
  "RADIF" bigserial PRIMARY KEY,
  "NOE_AMALIAT" smallint NOT NULL CHECK ("NOE_AMALIAT" BETWEEN 1 AND 4), -- 1 sabt, 2 enteghal, 3 eslah, 4 ebtal
  "KOD_MELLI_MALEK" text NOT NULL,
  "SHOMARE_SANAD" text NOT NULL,
  "KARBARI" char(1) CHECK ("KARBARI" IN ('M', 'T', 'K')), -- maskuni, tejari, keshavarzi
  "DANG" numeric(8, 4),
  "METRAJ" integer,
  "OSTAN" char(2),
  "AZ_TARIKH" date NOT NULL,
  "ZAMAN_SABT" timestamptz NOT NULL,
  "PAYAM" uuid NOT NULL,
  "PAYAM_GHABLI" uuid
);
-- :fill
INSERT INTO "SANAD" ("NOE_AMALIAT", "KOD_MELLI_MALEK", "SHOMARE_SANAD", "KARBARI", "DANG", "METRAJ", "OSTAN", "AZ_TARIKH", "ZAMAN_SABT", "PAYAM", "PAYAM_GHABLI")
SELECT CASE change_kind WHEN 'created' THEN 1 WHEN 'ceased' THEN 2 WHEN 'corrected' THEN 3 ELSE 4 END, national_id, record_key,
       CASE use WHEN 'residential' THEN 'M' WHEN 'commercial' THEN 'T' WHEN 'agricultural' THEN 'K' END,
       share_percent::numeric * 6 / 100, area_m2, province_code, effective_from, recorded_at, event_id, previous_event_id
FROM journal ORDER BY entry
-- :changes
SELECT "PAYAM" AS event_id, (ARRAY['created', 'ceased', 'corrected', 'annulled'])["NOE_AMALIAT"] AS change_kind,
       "PAYAM_GHABLI" AS previous_event_id, "KOD_MELLI_MALEK" AS national_id, "SHOMARE_SANAD" AS record_key,
       "AZ_TARIKH" AS effective_from, NULL::date AS effective_to, "ZAMAN_SABT" AS recorded_at,
       "SHOMARE_SANAD" AS deed_number,
       CASE "KARBARI" WHEN 'M' THEN 'residential' WHEN 'T' THEN 'commercial' ELSE 'agricultural' END AS use,
       ("DANG" * 100 / 6)::double precision AS share_percent, "METRAJ" AS area_m2, "OSTAN" AS province_code
FROM "SANAD" ORDER BY "RADIF"
