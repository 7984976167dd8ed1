-- Findings by agency and rule: how many there were, how many are open, and since when.
SELECT agency, record_type, rule, field, found, open, open_since, last_found FROM quality.findings_by_rule
WHERE (%(agency)s::text IS NULL OR agency = %(agency)s) AND (%(rule)s::text IS NULL OR rule = %(rule)s)
  AND (NOT %(only_open)s OR open > 0)
ORDER BY open DESC, agency, record_type, rule
