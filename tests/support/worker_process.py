"""A worker as a process of its own, to be killed: bootstrap, database URL, group and record type name as arguments."""

import sys

from raw_bus import record_type_of

from bus.kafka import kafka_connection
from consumers.materializer.worker import Parts, Worker
from deploy.provision import register_schemas
from registry.client import InMemorySchemaRegistry

bootstrap, database_url, group, name = sys.argv[1:]
record_type = record_type_of(name)
registry = InMemorySchemaRegistry()
register_schemas(registry, [record_type])  # the first schema of an empty registry has the same id everywhere
parts = Parts(
    kafka=kafka_connection(bootstrap),
    database_url=database_url,
    registry=registry,
    record_types=[record_type],
    group=group,
)
Worker(parts).run(lambda: False)
