"""The clients that everybody has work unmodified."""

import json
import os
import sys

import pytest
from confluent_kafka.schema_registry import (
    ConfigCompatibilityLevel,
    Schema,
    SchemaReference,
    SchemaRegistryClient,
    ServerConfig,
    header_schema_id_serializer,
)
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.schema_registry.error import SchemaRegistryError
from confluent_kafka.serialization import MessageField, SerializationContext

from deploy.local.process import ChildProcess, free_port
from registry.service.server import PortTakenError, serve

READY_TIMEOUT_S = 30
NAME = "سازمان ثبت/deeds-value"


@pytest.fixture
def stock(service):
    with SchemaRegistryClient({"url": service.url}) as client:
        yield client


@pytest.fixture
def other(service):
    """A client that remembers nothing of what the first one did."""
    with SchemaRegistryClient({"url": service.url}) as client:
        yield client


def named(*_):
    return NAME


@pytest.fixture
def context():
    return SerializationContext("deeds", MessageField.VALUE, [])


def test_serializers_register_and_read_over_the_service(stock, other, schema, context):
    text = schema(("number", "string"), ("area", ["null", "double"], None))

    framed = AvroSerializer(stock, text, conf={"subject.name.strategy": named})({"number": "۱۲"}, context)
    value = AvroDeserializer(other)(framed, context)

    assert value == {"number": "۱۲", "area": None}
    assert other.get_subjects() == [NAME]


def test_a_reader_with_a_newer_schema_reads_older_values(stock, other, schema, context):
    old, new = schema(("number", "int")), schema(("number", "long"), ("use", "string", "farm"))
    framed = AvroSerializer(stock, old, conf={"subject.name.strategy": named})({"number": 7}, context)

    stock.register_schema(NAME, Schema(new))

    assert AvroDeserializer(other, new)(framed, context) == {"number": 7, "use": "farm"}


def test_serializers_follow_references(stock, other, schema, context):
    stock.register_schema("places", Schema(schema(("code", "string"), name="Place", namespace="geo")))
    deed = Schema(schema(("place", "geo.Place")), "AVRO", [SchemaReference("geo.Place", "places", 1)])

    framed = AvroSerializer(stock, deed, conf={"subject.name.strategy": named})({"place": {"code": "11"}}, context)

    assert AvroDeserializer(other)(framed, context) == {"place": {"code": "11"}}
    assert other.get_referenced_by("places", 1) == [stock.get_latest_version(NAME).schema_id]


def test_serializers_can_use_only_what_is_registered(stock, other, schema, context):
    text = schema(("number", "int"))
    strict = {"subject.name.strategy": named, "auto.register.schemas": False, "use.latest.version": True}
    with pytest.raises(SchemaRegistryError, match="40401"):
        AvroSerializer(stock, text, conf=strict)({"number": 1}, context)

    stock.register_schema(NAME, Schema(text))

    assert AvroDeserializer(other)(AvroSerializer(other, text, conf=strict)({"number": 1}, context), context)


def test_a_schema_can_travel_by_its_guid_in_a_header(stock, other, schema, context):
    options = {"subject.name.strategy": named, "schema.id.serializer": header_schema_id_serializer}

    bare = AvroSerializer(stock, schema(("number", "string")), conf=options)({"number": "12/345"}, context)

    assert bare == b"\x0c12/345"
    assert AvroDeserializer(other)(bare, context) == {"number": "12/345"}


def test_every_call_of_the_client_is_answered(stock, other, schema):
    first, second = Schema(schema(("number", "int"))), Schema(schema(("number", "long")))
    schema_id = stock.register_schema(NAME, first)

    assert stock.register_schema(NAME, second, normalize_schemas=True) == schema_id + 1
    assert stock.register_schema_full_response("more", first).version == 1
    assert json.loads(other.get_schema(schema_id).schema_str) == json.loads(first.schema_str)
    assert other.get_schema_by_guid(other.get_version(NAME, 1).guid) == other.get_schema(schema_id)
    assert other.lookup_schema(NAME, second).version == 2
    assert other.get_version(NAME, "latest").schema_id == schema_id + 1
    assert other.get_versions(NAME) == [1, 2]
    assert other.get_subjects(subject_prefix="m") == ["more"]
    assert other.get_subjects_by_schema_id(schema_id) == ["more", NAME]
    assert [v.version for v in other.get_schema_versions(schema_id)] == [1, 1]
    assert other.get_schema_types() == ["AVRO"]
    assert other.get_contexts() == ["."]
    assert not other.test_compatibility(NAME, first)
    assert other.test_compatibility_all_versions(NAME, second)
    assert stock.set_compatibility(NAME, "FULL_TRANSITIVE") == {"compatibility": "FULL_TRANSITIVE"}
    assert other.get_compatibility(NAME) == "FULL_TRANSITIVE"
    assert stock.set_config(config=ServerConfig(ConfigCompatibilityLevel.NONE))["compatibility"] == "NONE"
    assert other.get_config().compatibility_level == "NONE"
    assert stock.delete_config(NAME).compatibility_level == "FULL_TRANSITIVE"
    assert stock.update_global_mode("READONLY") == "READONLY"
    assert other.get_global_mode() == "READONLY"
    assert stock.update_mode(NAME, "READWRITE") == "READWRITE"
    assert other.get_mode(NAME) == "READWRITE"
    assert stock.delete_mode(NAME) == "READWRITE"
    assert stock.update_global_mode("READWRITE") == "READWRITE"
    assert stock.delete_version(NAME, 1) == 1
    assert stock.delete_version(NAME, 1, permanent=True) == 1
    assert stock.delete_subject(NAME) == [2]
    assert stock.delete_subject(NAME, permanent=True) == [2]


def test_the_command_serves_with_nothing_but_a_database(database_url, tmp_path, schema):
    port, log = free_port(), tmp_path / "registry.log"
    process = ChildProcess(
        "schema registry",
        [sys.executable, "-m", "deploy.cli.main", "registry", "--port", str(port)],
        log=log,
        environment={"DATABASE_URL": database_url, "PYTHONPATH": os.getcwd()},
    )
    try:
        process.wait_until(lambda: "registry_ready" in log.read_text(), timeout_s=READY_TIMEOUT_S)
        with SchemaRegistryClient({"url": f"http://127.0.0.1:{port}"}) as client:
            schema_id = client.register_schema("deeds", Schema(schema(("number", "int"))))
    finally:
        process.stop()

    assert schema_id == 1
    assert not process.is_running
    assert "yekbar:" not in log.read_text()  # no password of the database


def test_a_port_that_is_taken_or_elsewhere_is_told(service, database_url):
    taken = int(service.url.rpartition(":")[2])

    for host, port in (("127.0.0.1", taken), ("192.0.2.1", free_port()), ("nowhere.invalid", free_port())):
        with pytest.raises(PortTakenError, match=f"port {port} of '{host}'"):
            serve(database_url, host=host, port=port)
