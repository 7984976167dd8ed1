-- Voids the targets of new corrections and annulments that nothing undoes yet, where the target itself undoes nothing:
-- no other event of the record changes its fate by that. Names the targets that it could settle.
UPDATE {schema}.facts SET voided_by = undoing.event_id
FROM unnest(%(subjects)s::uuid[], %(targets)s::uuid[], %(undoing)s::uuid[]) AS undoing (subject, target, event_id)
WHERE facts.subject = undoing.subject AND facts.event_id = undoing.target AND facts.previous_event_id IS NULL
RETURNING facts.subject, facts.event_id
