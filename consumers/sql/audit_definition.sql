-- Whether a view is what it was made as: its key, and the definition of its timeline.
SELECT EXISTS (SELECT FROM pg_constraint WHERE conrelid = to_regclass(%(facts)s) AND contype = 'p') AS has_key,
       pg_get_viewdef(to_regclass(%(timeline)s)) AS timeline
