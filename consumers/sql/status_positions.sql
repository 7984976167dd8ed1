-- How far each view has read its topic, by partition.
SELECT view, partition, next_position, caught_up_at FROM yekbar.positions
