"""Whether the table of accesses and its topic say the same: row by row, both ways, each difference named.

1. `_await_relay`  what is in the table now is given time to get to the topic
2. `_take_log`     the whole topic goes into a temporary table
3. `_compare`      the database compares the two
"""

import io
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import fastavro
from psycopg import Connection
from psycopg.rows import class_row

from bus.envelope import Event
from bus.framing import FRAME_BYTES, schema_id_of
from consumers.accesses.flow import NOBODY
from consumers.audit.log import Log, Tell
from consumers.materializer.check import Arrived
from consumers.relay import Outflow, read_place
from consumers.views import statement
from registry.client import SchemaRegistry

WAIT_S = 10.0  # a relay that works is never so far behind
POLL_S = 0.1
UNREADABLE = "unreadable"

_COLUMNS = (
    "access_id, at, requester, procedure, subject, case_reference, acting_user, representative, purpose, legal_basis,"
    " effective_at, known_at, decision, reason, evidence, instance, partition, position, sequence"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessDifference:
    """One difference: what is wrong, with which access, where in the log, and in which columns."""

    kind: str
    access_id: UUID | None
    partition: int | None
    position: int | None
    columns: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "columns", tuple(self.columns))


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedAccesses:
    """How the table and the topic compare; `sequences` are the lowest and the highest of the topic's events."""

    in_table: int
    in_topic: int
    sequences: tuple[int, int] | None
    differences: tuple[AccessDifference, ...]


def check_accesses(
    log: Log,
    connection: Connection[Any],
    outflow: Outflow,
    registry: SchemaRegistry,
    *,
    wait_s: float = WAIT_S,
    tell: Tell | None = None,
) -> CheckedAccesses:
    """Compares all accesses that are in the table now with their topic. Raises UnreadableLogError, RegistryError."""
    (horizon,) = _one(connection, "SELECT pg_snapshot_xmax(pg_current_snapshot())::text")
    _await_relay(connection, outflow, horizon, wait_s)
    place = read_place(connection, outflow)
    connection.execute(statement("access_told.sql"))
    unreadable: list[AccessDifference] = []
    for arrived in log.read(outflow.topic, log.bounds(outflow.topic), tell=tell):
        _take(connection, arrived, registry, unreadable)
    (in_table,) = _one(connection, "SELECT count(*) FROM yekbar.accesses WHERE written_by < %s::text::xid8", horizon)
    in_topic, lowest, highest = _one(connection, "SELECT count(*), min(sequence), max(sequence) FROM access_told")
    with connection.cursor(row_factory=class_row(AccessDifference)) as cursor:
        asked = {"horizon": horizon, "xid": place.written_by, "row": place.row}
        found = cursor.execute(statement("access_compare.sql"), asked).fetchall()
    return CheckedAccesses(
        in_table=in_table,
        in_topic=in_topic,
        sequences=None if lowest is None else (lowest, highest),
        differences=(*found, *unreadable),
    )


def _await_relay(connection: Connection[Any], outflow: Outflow, horizon: str, wait_s: float) -> None:
    """Returns when the relay has passed every row from before the horizon, or when it takes too long."""
    deadline = time.monotonic() + wait_s
    query = (
        "SELECT NOT EXISTS (SELECT FROM yekbar.accesses WHERE written_by < %s::text::xid8"
        " AND written_by::text::bigint >= %s::bigint AND (written_by, access_id) > (%s::text::xid8, %s::uuid))"
    )
    while time.monotonic() < deadline:
        place = read_place(connection, outflow)
        if _one(connection, query, horizon, place.written_by, place.written_by, place.row)[0]:
            return
        time.sleep(POLL_S)


def _take(
    connection: Connection[Any], arrived: Arrived, registry: SchemaRegistry, unreadable: list[AccessDifference]
) -> None:
    with connection.cursor().copy(f"COPY access_told ({_COLUMNS}) FROM STDIN") as copy:
        for event, partition, position in _events(arrived, registry):
            if event is None:
                wrong = AccessDifference(kind=UNREADABLE, access_id=None, partition=partition, position=position)
                unreadable.append(wrong)
            else:
                copy.write_row((*_row(event), partition, position, event.sequence))


def _events(arrived: Arrived, registry: SchemaRegistry) -> Iterator[tuple[Event | None, int, int]]:
    schemas: dict[int, Any] = {}
    for value, partition, position in zip(arrived.values, arrived.partitions, arrived.positions, strict=True):
        yield _event(value, registry, schemas), partition, position


def _event(value: bytes | None, registry: SchemaRegistry, schemas: dict[int, Any]) -> Event | None:
    schema_id = None if value is None else schema_id_of(value)
    if value is None or schema_id is None:
        return None
    try:
        if schema_id not in schemas:
            schemas[schema_id] = fastavro.parse_schema(registry.schema(schema_id))
        record: Any = fastavro.schemaless_reader(io.BytesIO(value[FRAME_BYTES:]), schemas[schema_id], None)
        return Event.from_avro(record)
    except (ValueError, KeyError, EOFError, IndexError, OverflowError):
        return None


def _row(event: Event) -> tuple[Any, ...]:
    body = event.body or {}
    return (
        event.event_id,
        event.effective_from,
        body.get("requester"),
        body.get("procedure"),
        None if event.subject == NOBODY else event.subject,
        body.get("case_reference"),
        body.get("acting_user"),
        body.get("representative"),
        body.get("purpose"),
        body.get("legal_basis"),
        body.get("asked_effective_at"),
        body.get("asked_known_at"),
        body.get("decision"),
        body.get("reason"),
        body.get("evidence"),
        body.get("instance"),
    )


def _one(connection: Connection[Any], query: str, *parameters: Any) -> Any:
    row = connection.execute(query, parameters).fetchone()
    assert row is not None
    return row
