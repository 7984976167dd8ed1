-- The last news of each row, in the order of the rows.
INSERT OR REPLACE INTO rows
SELECT key, digest, version, subject, record_key, history FROM news
WHERE number IN (SELECT max(number) FROM news GROUP BY key)
ORDER BY key
