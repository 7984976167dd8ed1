"""The registry: the catalogue of contracts, Avro compatibility, and the Confluent-compatible schema registry."""
