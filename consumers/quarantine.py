"""Quarantine: where an event waits that cannot be applied, with its reason and all its context.

The table is the truth: an entry is written in the transaction that passes the event by. The quarantine topic is fed
from it after the commit, at least once; `topic`, `partition` and `offset` in the headers tell repeats.
"""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from confluent_kafka import Producer
from psycopg import Connection, sql
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from bus.errors import TransientError
from bus.failpoints import failpoint
from bus.kafka import REQUEST_TIMEOUT_S
from bus.reasons import Reason
from bus.topics import quarantine_topic
from consumers.errors import NotFoundError
from consumers.views import DDL_LOCK, statement

LISTED_MAX = 1_000  # rows a list shows at most: a person reads them
ANNOUNCED_AT_ONCE = 1_000

# The names that Kafka Connect gives its dead-letter queue's headers (KIP-298), so that its tools read ours.
_HEADER = "__connect.errors."


class State(StrEnum):
    """What has been done about an entry."""

    WAITING = "waiting"
    REDRIVEN = "redriven"
    DISCARDED = "discarded"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One event in quarantine. `key` and `value` are the message's own bytes, `headers` are base64 by name."""

    entry: int
    view: str
    topic: str
    partition: int
    position: int
    reason: str
    detail: str
    known_at: datetime
    key: bytes | None
    value: bytes | None
    headers: Sequence[Sequence[str | None]]
    quarantined_at: datetime
    announced_at: datetime | None
    state: str
    acted_at: datetime | None
    note: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PutAside:
    """An event on its way into quarantine."""

    partition: int
    position: int
    reason: Reason
    detail: str
    known_at: datetime
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]]


def create_quarantine(connection: Connection[Any]) -> None:
    """Makes the table; harmless when repeated."""
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (DDL_LOCK,))
        connection.execute("CREATE SCHEMA IF NOT EXISTS yekbar")
        connection.execute(statement("quarantine.sql"))


def put_aside(connection: Connection[Any], *, view: str, topic: str, events: Sequence[PutAside]) -> None:
    """Writes entries, in the caller's transaction."""
    with connection.cursor() as cursor:
        cursor.executemany(
            statement("quarantine_put.sql"),
            [
                {
                    "view": view,
                    "topic": topic,
                    "partition": event.partition,
                    "position": event.position,
                    "reason": str(event.reason),
                    "detail": event.detail,
                    "known_at": event.known_at,
                    "key": event.key,
                    "value": event.value,
                    "headers": Jsonb([_as_text(name, content) for name, content in event.headers]),
                }
                for event in events
            ],
        )


def announce(connection: Connection[Any], producer: Producer) -> int:
    """Sends entries that the quarantine topics do not have yet, and marks them; how many. Raises TransientError."""
    rows = _entries(connection, sql.SQL("announced_at IS NULL ORDER BY entry LIMIT %(limit)s"), limit=ANNOUNCED_AT_ONCE)
    failures: list[str] = []
    for row in rows:
        producer.produce(
            quarantine_topic(row.view),
            key=row.key,
            value=row.value,
            headers=[*_own_headers(row), *_context(row)],
            on_delivery=lambda error, _: failures.append(str(error)) if error else None,
        )
    if producer.flush(REQUEST_TIMEOUT_S) or failures:
        raise TransientError(f"{len(rows)} entries of quarantine could not be announced", remedy="trying again")
    failpoint("quarantine.announced")
    if rows:
        connection.execute(
            "UPDATE yekbar.quarantine SET announced_at = now() WHERE entry = ANY (%s)", ([row.entry for row in rows],)
        )
    return len(rows)


def list_entries(
    connection: Connection[Any], *, view: str | None = None, reason: str | None = None, state: State | None = None
) -> list[Entry]:
    """The newest entries first, at most LISTED_MAX."""
    return _entries(
        connection,
        sql.SQL(
            "(%(view)s::text IS NULL OR view = %(view)s) AND (%(reason)s::text IS NULL OR reason = %(reason)s)"
            " AND (%(state)s::text IS NULL OR state = %(state)s) ORDER BY entry DESC LIMIT %(limit)s"
        ),
        view=view,
        reason=reason,
        state=state and str(state),
        limit=LISTED_MAX,
    )


def show_entry(connection: Connection[Any], entry: int) -> Entry:
    """One entry with all its context. Raises NotFoundError."""
    found = _entries(connection, sql.SQL("entry = %(entry)s"), entry=entry)
    if not found:
        raise NotFoundError(f"quarantine has no entry {entry}", remedy="'yekbar quarantine list' shows those there are")
    return found[0]


def redrive(connection: Connection[Any], producer: Producer, entries: Sequence[Entry]) -> int:
    """Sends the original bytes to the original topic again; how many. Raises TransientError.

    It is sent before it is marked: cut off in between, it is sent once more, and a repeat has no effect on a view.
    """
    failures: list[str] = []
    for entry in entries:
        producer.produce(
            entry.topic,
            key=entry.key,
            value=entry.value,
            headers=_own_headers(entry),
            on_delivery=lambda error, _: failures.append(str(error)) if error else None,
        )
    if producer.flush(REQUEST_TIMEOUT_S) or failures:
        raise TransientError(f"{len(failures)} of {len(entries)} entries could not be sent", remedy="try again later")
    failpoint("quarantine.redriven")
    return _mark(connection, entries, State.REDRIVEN, note=None)


def discard(connection: Connection[Any], entries: Sequence[Entry], *, note: str) -> int:
    """Marks entries as not to be applied, and says why; how many. The entry itself stays."""
    return _mark(connection, entries, State.DISCARDED, note=note)


def _mark(connection: Connection[Any], entries: Sequence[Entry], state: State, *, note: str | None) -> int:
    return connection.execute(
        "UPDATE yekbar.quarantine SET state = %s, acted_at = now(), note = %s WHERE entry = ANY (%s)",
        (str(state), note, [entry.entry for entry in entries]),
    ).rowcount


def _entries(connection: Connection[Any], where: sql.SQL, **parameters: Any) -> list[Entry]:
    names = sql.SQL(", ").join(sql.Identifier(name) for name in Entry.__slots__)
    query = sql.SQL("SELECT {} FROM yekbar.quarantine WHERE {}").format(names, where)
    with connection.cursor(row_factory=class_row(Entry)) as cursor:
        return cursor.execute(query, parameters).fetchall()


def _context(entry: Entry) -> list[tuple[str, str | bytes | None]]:
    facts: Mapping[str, str] = {
        "topic": entry.topic,
        "partition": str(entry.partition),
        "offset": str(entry.position),
        "connector.name": entry.view,
        "stage": "VALUE_CONVERTER",
        "exception.class.name": entry.reason,
        "exception.message": entry.detail or Reason(entry.reason).meaning,
    }
    return [(_HEADER + name, text.encode()) for name, text in facts.items()]


def _own_headers(entry: Entry) -> list[tuple[str, str | bytes | None]]:
    return [(str(name), None if text is None else base64.b64decode(text)) for name, text in entry.headers]


def _as_text(name: str, content: bytes | None) -> list[str | None]:
    return [name, None if content is None else base64.b64encode(content).decode()]
