-- A stage for a batch that holds repeats; gone with the transaction.
CREATE TEMPORARY TABLE IF NOT EXISTS stage (LIKE {schema}.facts) ON COMMIT DROP;
TRUNCATE stage
