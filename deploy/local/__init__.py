"""The embedded local stack: a real Kafka broker and a real PostgreSQL as child processes, without Docker or Java."""
