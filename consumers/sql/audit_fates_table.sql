-- The fold's verdicts on the events of persons whose events touch each other.
CREATE TEMPORARY TABLE fates (partition integer, position bigint, voided_by uuid, reason text) ON COMMIT DROP
