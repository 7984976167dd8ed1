-- Begins to judge by a rule: its own log from the start, the other register's from where it is, for what it said before
-- is in its view; unless something was judged already, while a partition of that register was not there yet.
INSERT INTO quality.judged (record_type, rule, view, partition, next_position)
SELECT %(record_type)s, %(rule)s, view, partition, CASE
  WHEN view = %(record_type)s OR EXISTS (
    SELECT FROM quality.judged WHERE record_type = %(record_type)s AND rule = %(rule)s AND next_position > 0
      AND view = %(record_type)s
  ) THEN 0 ELSE next_position END
FROM yekbar.positions WHERE view IN (%(record_type)s, %(register)s)
ON CONFLICT (record_type, rule, view, partition) DO NOTHING
