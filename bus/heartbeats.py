"""Heartbeats: a source says how far it has come, also when nothing changes; so a lost event is known by its absence."""

import io
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import fastavro

from bus.framing import FRAME_BYTES, frame

HEARTBEAT_SCHEMA: Mapping[str, Any] = {
    "type": "record",
    "name": "Heartbeat",
    "namespace": "yekbar",
    "fields": [
        {"name": "source", "type": "string"},
        {"name": "record_type", "type": "string"},
        {"name": "last_sequence", "type": "long"},
        {"name": "complete_until", "type": {"type": "long", "logicalType": "timestamp-micros"}},
    ],
}
_PARSED = fastavro.parse_schema(dict(HEARTBEAT_SCHEMA))


@dataclass(frozen=True, slots=True, kw_only=True)
class Heartbeat:
    """All that the source knew before `complete_until` is in the log, and the last of it has `last_sequence`."""

    source: str
    record_type: str
    last_sequence: int
    complete_until: datetime


def encode_heartbeat(heartbeat: Heartbeat, schema_id: int) -> bytes:
    """The framed value of a heartbeat; its key is the source."""
    written = io.BytesIO()
    written.write(frame(schema_id))
    record = {name: getattr(heartbeat, name) for name in Heartbeat.__slots__}
    fastavro.schemaless_writer(written, _PARSED, record)
    return written.getvalue()


def decode_heartbeat(value: bytes) -> Heartbeat:
    """The heartbeat of a framed value."""
    stream = io.BytesIO(value)
    stream.seek(FRAME_BYTES)
    record: Any = fastavro.schemaless_reader(stream, _PARSED, None)
    return Heartbeat(**record)
