"""A change topic that is captured: messages as the real connector wrote them, and rounds over them."""

import io
import json
from pathlib import Path
from uuid import uuid4

import fastavro
from confluent_kafka.cimpl import NewTopic
from synced_table import SyncedTable

from bus.framing import frame
from bus.kafka import admin, producer
from producers.capture.capturing import Capture, source_of
from producers.capture.state import CaptureState
from producers.capture.topic import ChangeTopic
from producers.publisher import Publisher

FIELDS = {
    "national_id": {"column": "national_code"},
    "effective_from": {"column": "moved_on"},
    "postal_code": "postal_code",
    "province": "province",
    "city": "city",
    "street": "street",
}


class Recorded:
    """Messages of Debezium 3.6.3 for PostgreSQL 18, of invented persons, in every form that converters write."""

    def __init__(self, place):
        said = json.loads(place.read_text(encoding="utf-8"))
        self.schemas, self.messages = said["schemas"], said["messages"]

    def with_schemas(self):
        for key_schema, key, value_schema, value in self.messages:
            yield (
                {"schema": self.schemas[key_schema], "payload": key},
                {"schema": self.schemas[value_schema], "payload": value},
            )

    def plain(self):
        for _, key, _, value in self.messages:
            yield key, value

    def avro(self, registry):
        """The same by Confluent's Avro converter: Connect's names stand beside Avro's types."""
        ids = [registry.register(f"schema-{number}", avro_of(one)) for number, one in enumerate(self.schemas)]
        parsed = [fastavro.parse_schema(avro_of(one)) for one in self.schemas]
        for key_schema, key, value_schema, value in self.messages:
            yield (
                framed(ids[key_schema], parsed[key_schema], key),
                framed(ids[value_schema], parsed[value_schema], value),
            )


def framed(schema_id, schema, record):
    written = io.BytesIO()
    fastavro.schemaless_writer(written, schema, record)
    return frame(schema_id) + written.getvalue()


def avro_of(schema):
    """A struct of Kafka Connect as the record that its Avro converter makes."""
    seen = set()

    def typed(one):
        if one["type"] == "struct":
            name = one["name"].replace(".", "_")
            if name in seen:
                return name
            seen.add(name)
            fields = [{"name": field["field"], "type": optional(field)} for field in one["fields"]]
            return {"type": "record", "name": name, "fields": fields, "connect.name": one["name"]}
        if one["type"] == "array":
            return {"type": "array", "items": optional(one["items"])}
        plain = {"int8": "int", "int16": "int", "int32": "int", "int64": "long", "float64": "double", "bytes": "string"}
        kind = plain.get(one["type"], one["type"])
        if not one.get("name"):
            return kind
        return {"type": kind, "connect.name": one["name"], "connect.parameters": one.get("parameters", {})}

    def optional(one):
        return ["null", typed(one)] if one.get("optional") else typed(one)

    return typed(schema)


class CapturedTable(SyncedTable):
    """One change topic and its capture."""

    def __init__(self, endpoints, folder, *, topic=None, **said):
        place = Path(folder) / "unused.db"
        place.touch()
        super().__init__(endpoints, f"sqlite:///{place}", folder=folder, **{"fields": FIELDS, **said})
        self.topic = topic or f"agency-{uuid4().hex[:8]}.public.addresses"
        if topic is None:
            self.make_topic()

    def make_topic(self):
        client = admin(self.kafka)
        client.create_topics([NewTopic(self.topic, 1, 1)])[self.topic].result(30)

    def send(self, messages):
        ours = producer(self.kafka)
        for key, value in messages:
            ours.produce(self.topic, key=content_of(key), value=content_of(value))
        assert ours.flush(30) == 0

    def capture(self, **options):
        """Reads the topic to its end by a publisher of its own."""
        state = CaptureState(self.folder / "state")
        self.refused = []
        with (
            Publisher(
                self.record_type,
                source=source_of(self.mapping),
                kafka=self.kafka,
                registry=self.registry,
                pseudonymizer=self.pseudonymizer,
                journal=state,
            ) as publisher,
            ChangeTopic(self.kafka, self.topic) as topic,
        ):
            capture = Capture(
                self.record_type,
                self.mapping,
                publisher=publisher,
                state=state,
                registry=self.registry,
                pseudonymizer=self.pseudonymizer,
                place="the mapping",
                on_refused=self.refused.append,
                **options,
            )
            ends = topic.ends(capture.begin(topic))
            while not capture.is_past(ends):
                capture.take(topic)
            return capture.outcome


def content_of(value):
    if value is None or isinstance(value, bytes):
        return value
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
