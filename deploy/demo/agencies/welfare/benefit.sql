-- Grants of benefits, with the day on which they run out where that is known.
-- :table
CREATE TABLE benefit_grant (
  id bigserial PRIMARY KEY,
  action text NOT NULL CHECK (action IN ('grant', 'stop', 'amend', 'withdraw')),
  person_nid text NOT NULL,
  scheme text NOT NULL,
  amount_per_month bigint,
  granted_at date,
  valid_from date NOT NULL,
  valid_until date,
  created_at timestamptz NOT NULL,
  uuid uuid NOT NULL,
  amends uuid
);
-- :fill
INSERT INTO benefit_grant (action, person_nid, scheme, amount_per_month, granted_at, valid_from, valid_until, created_at, uuid, amends)
SELECT CASE change_kind WHEN 'created' THEN 'grant' WHEN 'ceased' THEN 'stop' WHEN 'corrected' THEN 'amend' ELSE 'withdraw' END,
       national_id, record_key, monthly_amount_rials, granted_on, effective_from, effective_to, recorded_at, event_id, previous_event_id
FROM journal ORDER BY entry
-- :changes
SELECT uuid AS event_id,
       CASE action WHEN 'grant' THEN 'created' WHEN 'stop' THEN 'ceased' WHEN 'amend' THEN 'corrected' ELSE 'annulled' END AS change_kind,
       amends AS previous_event_id, person_nid AS national_id, scheme AS record_key,
       valid_from AS effective_from, valid_until AS effective_to, created_at AS recorded_at,
       scheme AS benefit_code, amount_per_month AS monthly_amount_rials, granted_at AS granted_on
FROM benefit_grant ORDER BY id
