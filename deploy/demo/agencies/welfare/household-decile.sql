-- The means of households, a row for each member.
-- :table
CREATE TABLE means_test (
  id bigserial PRIMARY KEY,
  action text NOT NULL CHECK (action IN ('assess', 'close', 'amend', 'withdraw')),
  person_nid text NOT NULL,
  decile smallint,
  members smallint,
  assessed_at date,
  valid_from date NOT NULL,
  created_at timestamptz NOT NULL,
  uuid uuid NOT NULL,
  amends uuid
);
-- :fill
INSERT INTO means_test (action, person_nid, decile, members, assessed_at, valid_from, created_at, uuid, amends)
SELECT CASE change_kind WHEN 'created' THEN 'assess' WHEN 'ceased' THEN 'close' WHEN 'corrected' THEN 'amend' ELSE 'withdraw' END,
       national_id, decile, household_size, assessed_on, effective_from, recorded_at, event_id, previous_event_id
FROM journal ORDER BY entry
-- :changes
SELECT uuid AS event_id,
       CASE action WHEN 'assess' THEN 'created' WHEN 'close' THEN 'ceased' WHEN 'amend' THEN 'corrected' ELSE 'annulled' END AS change_kind,
       amends AS previous_event_id, person_nid AS national_id, '' AS record_key,
       valid_from AS effective_from, NULL::date AS effective_to, created_at AS recorded_at,
       decile::integer AS decile, members::integer AS household_size, assessed_at AS assessed_on
FROM means_test ORDER BY id
