"""Findings on the bus: what a rule found of an event, and what became of it; the newest of a key is how it stands."""

import io
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

import fastavro

from bus.framing import FRAME_BYTES, frame

_INSTANT = {"type": "long", "logicalType": "timestamp-micros"}
FINDING_SCHEMA: Mapping[str, Any] = {
    "type": "record",
    "name": "Finding",
    "namespace": "yekbar",
    "fields": [
        {"name": "agency", "type": "string"},
        {"name": "record_type", "type": "string"},
        {"name": "rule", "type": "string"},
        {"name": "field", "type": "string"},
        {"name": "state", "type": {"type": "enum", "name": "FindingState", "symbols": ["open", "undone", "settled"]}},
        {"name": "subject", "type": {"type": "fixed", "name": "Subject", "size": 16}},
        {"name": "event_id", "type": {"type": "fixed", "name": "EventId", "size": 16}},
        {"name": "partition", "type": "int"},
        {"name": "position", "type": "long"},
        {"name": "known_at", "type": _INSTANT},
        {"name": "found_at", "type": _INSTANT},
    ],
}
_PARSED = fastavro.parse_schema(dict(FINDING_SCHEMA))


class FindingState(StrEnum):
    """Open; undone, since its event was corrected or annulled; settled, since the other register knows the person."""

    OPEN = "open"
    UNDONE = "undone"
    SETTLED = "settled"


def finding_state(*, undone_at: datetime | None, settled_at: datetime | None) -> FindingState:
    """How a finding stands; one that is undone and settled is undone."""
    return FindingState.UNDONE if undone_at else FindingState.SETTLED if settled_at else FindingState.OPEN


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundEvent:
    """One finding as it stands: a rule, and where the log has the event that breaks it."""

    agency: str
    record_type: str
    rule: str
    field: str
    state: FindingState
    subject: UUID
    event_id: UUID
    partition: int
    position: int
    known_at: datetime
    found_at: datetime

    @property
    def key(self) -> bytes:
        """The message's key."""
        return f"{self.record_type}/{self.partition}/{self.position}/{self.rule}".encode()


def encode_finding(found: FoundEvent, schema_id: int) -> bytes:
    """The framed value of a finding."""
    written = io.BytesIO()
    written.write(frame(schema_id))
    record = {name: getattr(found, name) for name in FoundEvent.__slots__}
    record |= {"state": str(found.state), "subject": found.subject.bytes, "event_id": found.event_id.bytes}
    fastavro.schemaless_writer(written, _PARSED, record)
    return written.getvalue()


def decode_finding(value: bytes) -> FoundEvent:
    """The finding of a framed value."""
    stream = io.BytesIO(value)
    stream.seek(FRAME_BYTES)
    record: Any = fastavro.schemaless_reader(stream, _PARSED, None)
    ids = {name: UUID(bytes=record[name]) for name in ("subject", "event_id")}
    return FoundEvent(**{**record, **ids, "state": FindingState(record["state"])})
