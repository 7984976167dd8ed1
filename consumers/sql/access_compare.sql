-- Every difference between the table of accesses and its topic, the first of each access. `is_due` are rows that were
-- in the table when the topic was read.
WITH told AS (
  SELECT *, row_number() OVER (PARTITION BY access_id ORDER BY sequence, partition, position) AS copy FROM access_told
), held AS (
  SELECT * FROM yekbar.accesses WHERE written_by < %(horizon)s::text::xid8
)
SELECT 'repeated' AS kind, access_id, partition, position, '{}'::text[] AS columns FROM told WHERE copy > 1
UNION ALL
SELECT 'only-in-topic', access_id, partition, position, '{}' FROM told
WHERE NOT EXISTS (SELECT FROM yekbar.accesses WHERE accesses.access_id = told.access_id)
UNION ALL
SELECT CASE WHEN (written_by, access_id) > (%(xid)s::text::xid8, %(row)s::uuid) THEN 'not-relayed' ELSE 'only-in-table' END,
       access_id, NULL, NULL, '{}' FROM held
WHERE NOT EXISTS (SELECT FROM told WHERE told.access_id = held.access_id)
UNION ALL
SELECT 'changed', access_id, partition, position, columns FROM (
  SELECT told.access_id, partition, position, array_remove(ARRAY[
    CASE WHEN held.at IS DISTINCT FROM told.at THEN 'at' END,
    CASE WHEN held.requester IS DISTINCT FROM told.requester THEN 'requester' END,
    CASE WHEN held.procedure IS DISTINCT FROM told.procedure THEN 'procedure' END,
    CASE WHEN held.subject IS DISTINCT FROM told.subject THEN 'subject' END,
    CASE WHEN held.case_reference IS DISTINCT FROM told.case_reference THEN 'case_reference' END,
    CASE WHEN held.acting_user IS DISTINCT FROM told.acting_user THEN 'acting_user' END,
    CASE WHEN held.representative IS DISTINCT FROM told.representative THEN 'representative' END,
    CASE WHEN held.purpose IS DISTINCT FROM told.purpose THEN 'purpose' END,
    CASE WHEN held.legal_basis IS DISTINCT FROM told.legal_basis THEN 'legal_basis' END,
    CASE WHEN held.effective_at IS DISTINCT FROM told.effective_at THEN 'effective_at' END,
    CASE WHEN held.known_at IS DISTINCT FROM told.known_at THEN 'known_at' END,
    CASE WHEN held.decision IS DISTINCT FROM told.decision THEN 'decision' END,
    CASE WHEN held.reason IS DISTINCT FROM told.reason THEN 'reason' END,
    CASE WHEN held.evidence::text IS DISTINCT FROM told.evidence THEN 'evidence' END,
    CASE WHEN held.instance IS DISTINCT FROM told.instance THEN 'instance' END
  ], NULL) AS columns
  FROM told JOIN yekbar.accesses AS held USING (access_id)
) AS compared WHERE columns <> '{}'
ORDER BY access_id, kind
