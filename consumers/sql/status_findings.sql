-- What is doubted of each agency's records: findings of quality rules that are open.
SELECT agency, record_type, rule, count(*) FROM quality.findings WHERE is_open GROUP BY agency, record_type, rule
