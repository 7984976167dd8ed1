-- The first event of a stretch that is younger than the other register's view.
SELECT min(position) FROM {own}.facts
WHERE partition = %(partition)s AND position >= %(from)s AND position < %(to)s AND known_at > %(horizon)s
