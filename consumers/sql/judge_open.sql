-- How many findings of a rule are open, counted as far as it matters.
SELECT count(*) FROM (
  SELECT FROM quality.findings
  WHERE record_type = %(record_type)s AND rule = %(rule)s AND is_open LIMIT %(limit)s
) AS open
