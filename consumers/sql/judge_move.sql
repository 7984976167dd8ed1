-- Moves a rule on along a log.
UPDATE quality.judged SET next_position = %(to)s
WHERE record_type = %(record_type)s AND rule = %(rule)s AND view = %(view)s AND partition = %(partition)s
