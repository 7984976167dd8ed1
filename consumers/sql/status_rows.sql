-- The rows of a view: counted as far as that is quick, and from there on what the planner believes.
SELECT counted.rows, coalesce((SELECT reltuples FROM pg_class WHERE oid = {name}::regclass), 0)::bigint
FROM (SELECT count(*) AS rows FROM (SELECT FROM {schema}.facts LIMIT {limit}) AS first) AS counted
