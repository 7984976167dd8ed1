import json
import os
import sys
from uuid import uuid4

import pytest
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext

from deploy.local.process import ChildProcess, free_port

READY_TIMEOUT_S = 30


@pytest.fixture
def registry_url(database_url, tmp_path):
    """The real service as a child process, with nothing but DATABASE_URL in its settings."""
    port = free_port()
    log = tmp_path / "registry.log"
    process = ChildProcess(
        "schema registry",
        [sys.executable, "-m", "deploy.cli.main", "registry", "--port", str(port)],
        log=log,
        environment={"DATABASE_URL": database_url, "PYTHONPATH": os.getcwd()},
    )
    try:
        process.wait_until(lambda: "registry_ready" in log.read_text(), timeout_s=READY_TIMEOUT_S)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.stop()


def test_stock_serializers_work_unmodified(registry_url):
    name = f"records/سند {uuid4().hex}-value"
    schema = json.dumps({"type": "record", "name": "Deed", "fields": [{"name": "number", "type": "string"}]})
    options = {"subject.name.strategy": lambda *_: name}
    context = SerializationContext("deeds", MessageField.VALUE)

    with SchemaRegistryClient({"url": registry_url}) as writing, SchemaRegistryClient({"url": registry_url}) as reading:
        framed = AvroSerializer(writing, schema, conf=options)({"number": "۱۲"}, context)
        value = AvroDeserializer(reading)(framed, context)

        assert value == {"number": "۱۲"}
        assert reading.get_subjects() == [name]
        assert reading.lookup_schema(name, Schema(schema)).version == 1
