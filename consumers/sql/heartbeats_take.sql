-- Takes the last word of some sources.
INSERT INTO yekbar.heartbeats AS known (view, source, last_sequence, complete_until, heard_at)
SELECT * FROM unnest(
  %(views)s::text[], %(sources)s::text[], %(sequences)s::bigint[], %(complete_until)s::timestamptz[],
  %(heard_at)s::timestamptz[]
)
ON CONFLICT (view, source) DO UPDATE SET
  last_sequence = greatest(known.last_sequence, excluded.last_sequence),
  complete_until = greatest(known.complete_until, excluded.complete_until),
  heard_at = greatest(known.heard_at, excluded.heard_at)
