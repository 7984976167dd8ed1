-- What waits to be judged by a rule: each partition of its own view and of the other register's, from where to where.
SELECT judged.view, judged.partition, judged.next_position, positions.next_position
FROM quality.judged JOIN yekbar.positions USING (view, partition)
WHERE record_type = %(record_type)s AND rule = %(rule)s AND judged.next_position < positions.next_position
ORDER BY judged.view = %(record_type)s, judged.partition
