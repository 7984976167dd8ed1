-- Gives the fold's verdict to the facts: who is void by whom, and which events are no facts.
UPDATE {schema}.facts SET voided_by = fates.voided_by
FROM fates
WHERE (facts.partition, facts.position) = (fates.partition, fates.position) AND fates.voided_by IS NOT NULL;
DELETE FROM {schema}.facts USING fates
WHERE (facts.partition, facts.position) = (fates.partition, fates.position) AND fates.reason IS NOT NULL;
INSERT INTO {schema}.passed_by (partition, position, reason)
SELECT partition, position, reason FROM fates WHERE reason IS NOT NULL
