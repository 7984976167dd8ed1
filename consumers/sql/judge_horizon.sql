-- Until when everything that the log held is in the other register's view; null while nobody can say, or it is empty.
SELECT CASE WHEN bool_and(caught_up_at IS NOT NULL) AND EXISTS (SELECT FROM {register}.facts) THEN min(caught_up_at) END
FROM yekbar.positions WHERE view = %(register)s
