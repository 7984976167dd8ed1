"""Changes of agreements on the bus: an event for each, keyed by the agreement."""

import io
from collections.abc import Mapping
from datetime import UTC
from typing import Any

import fastavro

from bus.framing import FRAME_BYTES, frame
from bus.topics import AUDIT_AGREEMENTS, event_subject_name
from consumers.relay import Outflow
from registry.client import SchemaRegistry

CHANGE_SCHEMA: Mapping[str, Any] = {
    "type": "record",
    "name": "AgreementChange",
    "namespace": "yekbar",
    "fields": [
        {"name": "change_id", "type": "string"},
        {"name": "number", "type": "long"},
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-micros"}},
        {"name": "agreement", "type": "string"},
        {"name": "kind", "type": "string"},
        {"name": "agency", "type": "string"},
        {"name": "reason", "type": ["null", "string"], "default": None},
        {"name": "terms", "type": ["null", "string"], "default": None, "doc": "The whole agreement, as JSON."},
    ],
}
_PARSED: Any = fastavro.parse_schema(dict(CHANGE_SCHEMA))


def agreement_flow(registry: SchemaRegistry, topic: str = AUDIT_AGREEMENTS) -> Outflow:
    """How changes go to their topic. Raises RegistryError."""
    schema_id = registry.register(event_subject_name(topic), CHANGE_SCHEMA)

    def write(row: Mapping[str, Any], _: int) -> tuple[bytes, bytes]:
        said = {**row, "change_id": str(row["change_id"]), "at": row["at"].astimezone(UTC)}
        written = io.BytesIO()
        written.write(frame(schema_id))
        fastavro.schemaless_writer(written, _PARSED, said)
        return str(row["agreement"]).encode(), written.getvalue()

    return Outflow(
        topic=topic,
        due="agreements_due.sql",
        before_first="0",
        write=write,
        row_of=lambda value: str(change_record(value)["number"]),
    )


def change_record(value: bytes) -> dict[str, Any]:
    """What a framed value says of one change."""
    stream = io.BytesIO(value)
    stream.seek(FRAME_BYTES)
    record: Any = fastavro.schemaless_reader(stream, _PARSED, None)
    return dict(record)
