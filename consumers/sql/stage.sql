-- A stage for events that may have been applied before; gone with the transaction.
CREATE TEMPORARY TABLE stage (LIKE {schema}.facts) ON COMMIT DROP
