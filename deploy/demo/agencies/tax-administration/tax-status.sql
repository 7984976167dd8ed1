-- Assessments of taxpayers: codes for words, and dates as text, YYYYMMDD.
-- :table
CREATE TABLE "TAXPAYER_ASSESSMENT" (
  "SEQ_NO" bigserial PRIMARY KEY,
  "OP" char(1) NOT NULL CHECK ("OP" IN ('I', 'D', 'U', 'X')),
  "NAT_CODE" varchar(10) NOT NULL,
  "STATUS_CODE" char(2),
  "DEBT_AMT" numeric(18),
  "FISCAL_YR" smallint,
  "ASSESS_DT" char(8),
  "EFF_DT" char(8) NOT NULL,
  "REG_TS" timestamptz NOT NULL,
  "MSG_ID" uuid NOT NULL,
  "REF_MSG_ID" uuid
);
-- :fill
INSERT INTO "TAXPAYER_ASSESSMENT" ("OP", "NAT_CODE", "STATUS_CODE", "DEBT_AMT", "FISCAL_YR", "ASSESS_DT", "EFF_DT", "REG_TS", "MSG_ID", "REF_MSG_ID")
SELECT CASE change_kind WHEN 'created' THEN 'I' WHEN 'ceased' THEN 'D' WHEN 'corrected' THEN 'U' ELSE 'X' END,
       national_id, CASE standing WHEN 'cleared' THEN '01' WHEN 'in_debt' THEN '02' WHEN 'not_registered' THEN '03' END,
       debt_rials, tax_year, to_char(assessed_on, 'YYYYMMDD'), to_char(effective_from, 'YYYYMMDD'), recorded_at, event_id, previous_event_id
FROM journal ORDER BY entry
-- :changes
SELECT "MSG_ID" AS event_id,
       CASE "OP" WHEN 'I' THEN 'created' WHEN 'D' THEN 'ceased' WHEN 'U' THEN 'corrected' ELSE 'annulled' END AS change_kind,
       "REF_MSG_ID" AS previous_event_id, "NAT_CODE" AS national_id, '' AS record_key,
       to_date("EFF_DT", 'YYYYMMDD') AS effective_from, NULL::date AS effective_to, "REG_TS" AS recorded_at,
       CASE "STATUS_CODE" WHEN '01' THEN 'cleared' WHEN '02' THEN 'in_debt' ELSE 'not_registered' END AS standing,
       "DEBT_AMT"::bigint AS debt_rials, "FISCAL_YR"::integer AS tax_year, to_date("ASSESS_DT", 'YYYYMMDD') AS assessed_on
FROM "TAXPAYER_ASSESSMENT" ORDER BY "SEQ_NO"
