"""Accesses on the bus: an event for each row of the table, in the envelope of all events, keyed by the person."""

import io
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import fastavro

from bus.envelope import ChangeKind, Event
from bus.framing import FRAME_BYTES, frame
from bus.topics import event_subject_name, records_topic
from consumers.relay import Outflow
from registry.client import SchemaRegistry
from registry.composition import event_schema
from registry.contracts import RecordType

SOURCE = "relay"  # after the record type's name, as an outbox's sources have it
NOBODY = UUID(int=0)  # the person of a request that named no valid one
_FIRST = str(UUID(int=0))


def access_flow(contract: RecordType, registry: SchemaRegistry) -> Outflow:
    """How accesses go to the topic of a contract, whose schema is registered. Raises RegistryError."""
    topic = records_topic(contract.id)
    schema = event_schema(contract)
    schema_id = registry.register(event_subject_name(topic), schema)
    parsed: Any = fastavro.parse_schema(schema)
    source = f"{contract.id}/{SOURCE}"

    def write(row: Mapping[str, Any], number: int) -> tuple[bytes, bytes]:
        event = access_event(row, source=source, number=number)
        written = io.BytesIO()
        written.write(frame(schema_id))
        fastavro.schemaless_writer(written, parsed, event.to_avro())
        return event.subject.bytes, written.getvalue()

    def row_of(value: bytes) -> str:
        return str(UUID(bytes=value[FRAME_BYTES : FRAME_BYTES + 16]))  # the envelope begins with the event id

    return Outflow(topic=topic, due="accesses_due.sql", before_first=_FIRST, write=write, row_of=row_of)


def access_event(row: Mapping[str, Any], *, source: str, number: int) -> Event:
    """The event of a row: its id is the access id."""
    at = row["at"].astimezone(UTC)
    return Event(
        event_id=row["access_id"],
        source=source,
        sequence=number,
        change_kind=ChangeKind.CREATED,
        subject=row["subject"] or NOBODY,
        record_key=str(row["access_id"]),
        effective_from=at,
        recorded_at=at,
        body=access_body(row),
    )


def access_body(row: Mapping[str, Any]) -> dict[str, Any]:
    """The body of a row."""
    return {
        "access_id": str(row["access_id"]),
        "requester": row["requester"],
        "procedure": row["procedure"],
        "case_reference": row["case_reference"],
        "acting_user": row["acting_user"],
        "representative": _text(row["representative"]),
        "purpose": row["purpose"],
        "legal_basis": row["legal_basis"],
        "asked_effective_at": _instant(row["effective_at"]),
        "asked_known_at": _instant(row["known_at"]),
        "decision": row["decision"],
        "reason": row["reason"],
        "evidence": row["evidence"],
        "instance": _text(row["instance"]),
    }


def _text(value: UUID | None) -> str | None:
    return None if value is None else str(value)


def _instant(value: datetime | None) -> datetime | None:
    return None if value is None else value.astimezone(UTC)
