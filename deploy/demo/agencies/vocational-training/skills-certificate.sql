-- Certificates of trades; ids with hyphens, as printed on the card.
-- :table
CREATE TABLE govahi_maharat (
  id bigserial PRIMARY KEY,
  kind text NOT NULL CHECK (kind IN ('ISSUED', 'EXPIRED', 'CORRECTED', 'CANCELLED')),
  holder text NOT NULL,
  cert_no text NOT NULL,
  trade_code text,
  trade_title text,
  grade char(1) CHECK (grade IN ('A', 'B', 'C', 'I')),
  issue_date date,
  from_date date NOT NULL,
  to_date date,
  entered timestamptz NOT NULL,
  guid uuid NOT NULL,
  about_guid uuid
);
-- :fill
INSERT INTO govahi_maharat (kind, holder, cert_no, trade_code, trade_title, grade, issue_date, from_date, to_date, entered, guid, about_guid)
SELECT CASE change_kind WHEN 'created' THEN 'ISSUED' WHEN 'ceased' THEN 'EXPIRED' WHEN 'corrected' THEN 'CORRECTED' ELSE 'CANCELLED' END,
       left(national_id, 3) || '-' || substr(national_id, 4, 6) || '-' || substr(national_id, 10), record_key, skill_code, skill_title,
       substr('ABC_____I', grade, 1), issued_on, effective_from, effective_to, recorded_at, event_id, previous_event_id
FROM journal ORDER BY entry
-- :changes
SELECT guid AS event_id,
       CASE kind WHEN 'ISSUED' THEN 'created' WHEN 'EXPIRED' THEN 'ceased' WHEN 'CORRECTED' THEN 'corrected' ELSE 'annulled' END AS change_kind,
       about_guid AS previous_event_id, holder AS national_id, cert_no AS record_key,
       from_date AS effective_from, to_date AS effective_to, entered AS recorded_at,
       cert_no AS certificate_number, trade_code AS skill_code, trade_title AS skill_title,
       ascii(grade) - ascii('A') + 1 AS grade, issue_date AS issued_on
FROM govahi_maharat ORDER BY id
