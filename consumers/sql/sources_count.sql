-- Adds what a batch received of each source.
INSERT INTO yekbar.sources AS known (view, source, partition, highest_sequence, received, recorded_at, known_at)
SELECT %(view)s, * FROM unnest(
  %(sources)s::text[], %(partitions)s::integer[], %(highest)s::bigint[], %(received)s::bigint[],
  %(recorded_at)s::timestamptz[], %(known_at)s::timestamptz[]
)
ON CONFLICT (view, source, partition) DO UPDATE SET
  highest_sequence = greatest(known.highest_sequence, excluded.highest_sequence),
  received = known.received + excluded.received,
  recorded_at = greatest(known.recorded_at, excluded.recorded_at),
  known_at = greatest(known.known_at, excluded.known_at)
