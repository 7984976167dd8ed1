-- Moves our positions on; a partition that another process has taken over does not move.
UPDATE yekbar.positions AS held
SET next_position = moved.next_position, known_at = coalesce(moved.known_at, held.known_at)
FROM unnest(
  %(partitions)s::integer[], %(generations)s::bigint[], %(from)s::bigint[], %(to)s::bigint[], %(known_at)s::timestamptz[]
) AS moved (partition, generation, from_position, next_position, known_at)
WHERE held.view = %(view)s AND held.partition = moved.partition
  AND held.generation = moved.generation AND held.next_position = moved.from_position
