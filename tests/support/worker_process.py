"""A worker as a process of its own, to be killed: bootstrap, database URL, group and record type name as arguments.

Its batches are small and its reports frequent, so that each step is reached often in little time.
"""

import os
import sys

from raw_bus import record_type_of

from bus.kafka import kafka_connection
from consumers.errors import LogAccidentError
from consumers.materializer import reading, worker, writer
from deploy.provision import register_schemas
from registry.client import InMemorySchemaRegistry

bootstrap, database_url, group, name = sys.argv[1:]
reading.BATCH_EVENTS_MAX = int(os.environ.get("BATCH_EVENTS_MAX", reading.BATCH_EVENTS_MAX))
worker.REPORT_EVERY_S = float(os.environ.get("REPORT_EVERY_S", worker.REPORT_EVERY_S))
writer.SESSION_SETTINGS += os.environ.get("MORE_SESSION_SETTINGS", "")

record_type = record_type_of(name)
registry = InMemorySchemaRegistry()
register_schemas(registry, [record_type])  # the first schema of an empty registry has the same id everywhere
parts = worker.Parts(
    kafka=kafka_connection(bootstrap),
    database_url=database_url,
    registry=registry,
    record_types=[record_type],
    group=group,
)
try:
    worker.Worker(parts).run(lambda: False)
except LogAccidentError as exc:
    print(exc)
    raise SystemExit(exc.exit_code) from exc
