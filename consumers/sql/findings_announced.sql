-- Marks findings as announced, where none has changed since it was read.
UPDATE quality.findings SET announced_at = now()
FROM unnest(%(findings)s::bigint[], %(undone_at)s::timestamptz[], %(settled_at)s::timestamptz[])
  AS told (finding, undone_at, settled_at)
WHERE findings.finding = told.finding AND findings.undone_at IS NOT DISTINCT FROM told.undone_at
  AND findings.settled_at IS NOT DISTINCT FROM told.settled_at
