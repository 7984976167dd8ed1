"""Watches over findings beside the materializer's workers: judges rules across registers, and feeds the topic.

1. `_lead`     one watch at a time has the lock; another waits for it
2. `sweep`     what has become judgeable since, in sets, behind the views: `consumers.quality_across`
3. `announce`  findings that are new or have changed, at least once; a message's key tells repeats
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
import structlog
from confluent_kafka import KafkaException, Producer
from psycopg import Connection
from psycopg.rows import namedtuple_row

from bus.database import session_options
from bus.errors import BusError, TransientError
from bus.failpoints import failpoint
from bus.findings import FINDING_SCHEMA, FoundEvent, encode_finding, finding_state
from bus.kafka import KafkaConnection, producer
from bus.topics import QUALITY_FINDINGS, event_subject_name
from consumers.quality_across import Across
from consumers.views import statement
from registry.client import SchemaRegistry
from registry.contracts import RecordType
from registry.errors import RegistryError

WATCH_EVERY_S = 2.0
ANNOUNCED_AT_ONCE = 1_000
ANNOUNCED_WITHIN_S = 10  # a broker that is away must not keep a materializer from ending
LOCK = 0x51756C79  # "Quly": whoever has it judges and announces

# Small stretches against large tables: loops over indexes, whatever the statistics say.
SESSION_SETTINGS = "-c enable_seqscan=off -c enable_hashjoin=off -c enable_mergejoin=off -c jit=off"

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityWatch:
    """Watches over the findings of some record types."""

    kafka: KafkaConnection
    database_url: str
    registry: SchemaRegistry
    record_types: Sequence[RecordType]

    def run(self, must_stop: threading.Event) -> None:
        """Watches until told to stop; whatever fails is told, and tried again."""
        while not must_stop.is_set():
            try:
                self._watch(must_stop)
            except (psycopg.Error, BusError, RegistryError, KafkaException) as exc:
                log.warning("findings_await", because=type(exc).__name__, what=_first_line(exc))
                must_stop.wait(WATCH_EVERY_S)

    def catch_up(self) -> None:
        """Judges and announces all that waits, unless another watch does. Raises psycopg.Error, BusError."""
        with self._connected() as connection:
            if _lead(connection):
                self._turn(connection, producer(self.kafka), lambda: False)

    def _watch(self, must_stop: threading.Event) -> None:
        with self._connected() as connection:
            sender, leads = producer(self.kafka), False
            while not must_stop.is_set():
                leads = leads or _lead(connection)
                if leads:
                    self._turn(connection, sender, must_stop.is_set)
                must_stop.wait(WATCH_EVERY_S)

    def _turn(self, connection: Connection[Any], sender: Producer, must_stop: Callable[[], bool]) -> None:
        Across(connection, self.record_types).sweep(must_stop=must_stop)
        schema_id: int | None = None
        while not must_stop():
            rows = _unannounced(connection)
            if not rows:
                return
            if schema_id is None:
                schema_id = self.registry.register(event_subject_name(QUALITY_FINDINGS), FINDING_SCHEMA)
            _announce(connection, sender, rows, schema_id)

    def _connected(self) -> Connection[Any]:
        return psycopg.connect(
            self.database_url, autocommit=True, options=session_options(self.database_url, SESSION_SETTINGS)
        )


def _lead(connection: Connection[Any]) -> bool:
    """Whether this watch has the lock now, which goes with its connection."""
    row = connection.execute("SELECT pg_try_advisory_lock(%s)", (LOCK,)).fetchone()
    return row is not None and bool(row[0])


def _unannounced(connection: Connection[Any]) -> list[Any]:
    with connection.cursor(row_factory=namedtuple_row) as cursor:
        return cursor.execute(statement("findings_unannounced.sql"), {"limit": ANNOUNCED_AT_ONCE}).fetchall()


def _announce(connection: Connection[Any], sender: Producer, rows: Sequence[Any], schema_id: int) -> None:
    failures: list[str] = []
    for row in rows:
        found = _as_event(row)
        sender.produce(
            QUALITY_FINDINGS,
            key=found.key,
            value=encode_finding(found, schema_id),
            on_delivery=lambda error, _: failures.append(str(error)) if error else None,
        )
    if sender.flush(ANNOUNCED_WITHIN_S) or failures:
        raise TransientError(f"{len(rows)} findings could not be announced", remedy="trying again")
    failpoint("quality.announced")
    connection.execute(
        statement("findings_announced.sql"),
        {
            "findings": [row.finding for row in rows],
            "undone_at": [row.undone_at for row in rows],
            "settled_at": [row.settled_at for row in rows],
        },
    )


def _as_event(row: Any) -> FoundEvent:
    state = finding_state(undone_at=row.undone_at, settled_at=row.settled_at)
    facts = {name: getattr(row, name) for name in FoundEvent.__slots__ if name != "state"}
    return FoundEvent(**facts, state=state)


def _first_line(exc: Exception) -> str:
    return str(exc).partition("\n")[0]
