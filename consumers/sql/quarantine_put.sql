-- Puts events aside; one that is there already stays as it is.
INSERT INTO yekbar.quarantine (view, topic, partition, position, reason, detail, known_at, key, value, headers)
VALUES (%(view)s, %(topic)s, %(partition)s, %(position)s, %(reason)s, %(detail)s, %(known_at)s, %(key)s, %(value)s, %(headers)s)
ON CONFLICT (topic, partition, position) DO NOTHING
