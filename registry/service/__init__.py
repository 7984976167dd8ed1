"""The schema registry service: the Confluent Schema Registry REST API for Avro, stored in PostgreSQL.

`app` is the HTTP front, `store` holds the SQL, `avro_schemas`, `modes` and `versions` are rules over plain values.
It keeps no contexts, no data rules and no schema types beside Avro; what asks for them is refused, never ignored.
"""
