-- Whether a mandate holds now: two records of one number, each about one of the two persons, neither naming the other.
-- One that is for one procedure holds for that alone.
WITH held AS ({holding})
SELECT EXISTS (
  SELECT FROM held AS whose JOIN held AS who USING (record_key)
  WHERE whose.subject = %(represented)s AND whose.role = 'represented'
    AND who.subject = %(representative)s AND who.role = 'representative'
    AND (whose.procedure IS NULL OR whose.procedure = %(procedure)s)
    AND (who.procedure IS NULL OR who.procedure = %(procedure)s)
), (
  SELECT count(*) > 0 AND count(*) = count(caught_up_at) AND min(caught_up_at) > %(at)s - %(freshness)s::interval
  FROM yekbar.positions WHERE view = %(view)s
)
