"""The bus: envelope, framing, topics, pseudonyms, Kafka clients, errors, settings. It knows no agency and no table."""
