"""Brings the rows of an append-only table onto the bus: each once, in the order in which they were committed.

1. `_take_up`   what the topic holds beyond the remembered place is read, so that nothing is sent again
2. `_due`       the next rows whose transaction, and every one before it, has ended
3. `_send`      they are acknowledged by the brokers
4. `_remember`  the place, in the database

Whoever writes the table does not know of it and pays nothing: the order is that of transaction ids, which the rows have
anyway. The order of rows that were once due never changes, so a row's number is the same whoever counts.
"""

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition
from psycopg.rows import DictRow, dict_row

from bus.database import session_options
from bus.errors import TransientError
from bus.failpoints import failpoint
from bus.kafka import REQUEST_TIMEOUT_S, KafkaConnection, bus_error, consumer, producer
from consumers.errors import LogAccidentError
from consumers.views import DDL_LOCK, statement

ROWS_MAX = 5_000
POLL_S = 0.25
LEAD_POLL_S = 1.0
RETRY_S = 2.0
SILENCE_MAX_S = 30.0
SETTINGS = "-c tcp_keepalives_idle=2 -c tcp_keepalives_interval=1 -c tcp_keepalives_count=2 -c timezone=UTC"

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Outflow:
    """A table and its topic: which rows are due, how one is written, and which row a message has."""

    topic: str
    due: str  # a file of statements
    before_first: str  # a row id below every other
    write: Callable[[Mapping[str, Any], int], tuple[bytes, bytes]]  # a row and its number → key and value
    row_of: Callable[[bytes], str]  # the row id of a value


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """How far a table was relayed: `sequence` rows, the last of them this one; `ends` are the topic's then."""

    written_by: str
    row: str
    sequence: int
    ends: tuple[int, ...]


def create_relays(connection: psycopg.Connection[Any]) -> None:
    """Makes the table of places; harmless when repeated."""
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (DDL_LOCK,))
        connection.execute(statement("relays.sql"))


def read_place(connection: psycopg.Connection[Any], outflow: Outflow) -> Place:
    """How far a table was relayed."""
    row = connection.execute(
        "SELECT written_by::text, row_id, sequence, ends FROM yekbar.relays WHERE topic = %s", (outflow.topic,)
    ).fetchone()
    if row is None:
        return Place(written_by="0", row=outflow.before_first, sequence=0, ends=())
    return Place(written_by=row[0], row=row[1], sequence=row[2], ends=tuple(row[3]))


class TableRelay:
    """Relays one table until it is told to stop; of several, one works and the others stand by."""

    def __init__(self, *, database_url: str, kafka: KafkaConnection, outflow: Outflow) -> None:
        self._database_url = database_url
        self._kafka = kafka
        self._outflow = outflow

    def run(self, must_stop: threading.Event) -> None:
        """Relays until told to stop; a database or a broker that is away is waited for. Raises LogAccidentError."""
        while not must_stop.is_set():
            try:
                with self._connection() as leading, self._connection() as reading:
                    if self._leads(leading, must_stop):
                        self._serve(leading, reading, must_stop)
            except (psycopg.OperationalError, psycopg.errors.UndefinedTable, TransientError) as exc:
                log.warning("relay_awaits", topic=self._outflow.topic, fault=type(exc).__name__)
                must_stop.wait(RETRY_S)

    def _connection(self) -> psycopg.Connection[Any]:
        return psycopg.connect(
            self._database_url, autocommit=True, options=session_options(self._database_url, SETTINGS)
        )

    def _leads(self, connection: psycopg.Connection[Any], must_stop: threading.Event) -> bool:
        key = f"yekbar relay {self._outflow.topic}"
        while not must_stop.is_set():
            row = connection.execute("SELECT pg_try_advisory_lock(hashtextextended(%s, 0))", (key,)).fetchone()
            if row is not None and row[0]:
                return True
            must_stop.wait(LEAD_POLL_S)
        return False

    def _serve(
        self, leading: psycopg.Connection[Any], reading: psycopg.Connection[Any], must_stop: threading.Event
    ) -> None:
        sender = producer(self._kafka)
        try:
            place, sent = self._take_up(read_place(leading, self._outflow))
            while not must_stop.is_set():
                before = place
                for rows in self._due(reading, place):
                    ends = self._send(sender, rows, place, sent, must_stop)
                    if ends is None:
                        return
                    failpoint("relay.sent")
                    place = self._remember(leading, rows[-1], place.sequence + len(rows), ends)
                    sent = frozenset()
                if place is before:
                    must_stop.wait(POLL_S)
        finally:
            sender.purge()
            sender.flush(1.0)

    def _take_up(self, place: Place) -> tuple[Place, frozenset[str]]:
        """The place with the topic's ends as they are now, and the rows that were sent after it was remembered."""
        reading = consumer(self._kafka, group="yekbar-relay")
        try:
            bounds = _bounds(reading, self._outflow.topic)
            starts = [*place.ends, *[low for low, _ in bounds[len(place.ends) :]]]
            ends = tuple(high for _, high in bounds)
            if any(end < start for start, end in zip(starts, ends, strict=True)):
                raise LogAccidentError(
                    f"topic '{self._outflow.topic}' ends before what was sent to it",
                    remedy="it was cut or made anew: restore it, or see the runbook, 'a topic was made anew'",
                )
            values = _read(reading, self._outflow.topic, starts, ends)
        finally:
            reading.close()
        sent = frozenset(self._outflow.row_of(value) for value in values)
        log.info("relay_leads", topic=self._outflow.topic, rows=place.sequence, sent_since=len(sent))
        return Place(written_by=place.written_by, row=place.row, sequence=place.sequence, ends=ends), sent

    def _due(self, reading: psycopg.Connection[Any], place: Place) -> Iterator[Sequence[DictRow]]:
        """All rows that are due, in batches; however many have gathered, they are sorted once."""
        asked = {"xid": place.written_by, "row": place.row}
        with reading.transaction(), reading.cursor("due", row_factory=dict_row) as cursor:
            cursor.execute(statement(self._outflow.due), asked)
            while rows := cursor.fetchmany(ROWS_MAX):
                yield rows

    def _send(
        self,
        sender: Producer,
        rows: Sequence[DictRow],
        place: Place,
        sent: frozenset[str],
        must_stop: threading.Event,
    ) -> tuple[int, ...] | None:
        """The topic's ends when the brokers have all rows; None when we were told to stop before."""
        ends = list(place.ends)

        def take(error: KafkaError | None, message: Message) -> None:
            partition, position = message.partition(), message.offset()
            if error is None and partition is not None and position is not None:
                ends[partition] = max(ends[partition], position + 1)

        for number, row in enumerate(rows, place.sequence + 1):
            if row["row_id"] not in sent:
                key, value = self._outflow.write(row, number)
                sender.produce(self._outflow.topic, key=key, value=value, on_delivery=take)
        while sender.flush(POLL_S):
            if must_stop.is_set():
                return None
        return tuple(ends)

    def _remember(
        self, connection: psycopg.Connection[Any], last: DictRow, sequence: int, ends: tuple[int, ...]
    ) -> Place:
        connection.execute(
            "INSERT INTO yekbar.relays (topic, written_by, row_id, sequence, ends, relayed_at)"
            " VALUES (%s, %s::text::xid8, %s, %s, %s, now()) ON CONFLICT (topic) DO UPDATE SET"
            " written_by = excluded.written_by, row_id = excluded.row_id, sequence = excluded.sequence,"
            " ends = excluded.ends, relayed_at = now()",
            (self._outflow.topic, last["xid"], last["row_id"], sequence, list(ends)),
        )
        return Place(written_by=last["xid"], row=last["row_id"], sequence=sequence, ends=ends)


def _bounds(reading: Consumer, topic: str) -> list[tuple[int, int]]:
    """The first and the next position of each partition. Raises TransientError, BusError."""
    try:
        found = reading.list_topics(topic, timeout=REQUEST_TIMEOUT_S).topics[topic]
        if found.error is not None:
            raise TransientError(f"there is no topic '{topic}'", remedy="run 'yekbar catalogue apply'")
        places = [TopicPartition(topic, partition) for partition in sorted(found.partitions)]
        return [reading.get_watermark_offsets(place, timeout=REQUEST_TIMEOUT_S) for place in places]
    except KafkaException as exc:
        raise bus_error(exc, f"asking how long topic '{topic}' is") from exc


def _read(reading: Consumer, topic: str, starts: Sequence[int], ends: Sequence[int]) -> Sequence[bytes]:
    """The values of a short stretch of a topic. Raises TransientError when the brokers fall silent."""
    left = {partition: end for partition, (start, end) in enumerate(zip(starts, ends, strict=True)) if start < end}
    reading.assign([TopicPartition(topic, partition, starts[partition]) for partition in left])
    values: list[bytes] = []
    heard = time.monotonic()
    while left:
        for message in reading.consume(ROWS_MAX, POLL_S):
            partition, position, value = message.partition(), message.offset(), message.value()
            if message.error() is not None or partition not in left or position is None:
                continue
            heard = time.monotonic()
            if position < left[partition] and value is not None:
                values.append(value)
            if position + 1 >= left[partition]:
                del left[partition]
        if time.monotonic() - heard > SILENCE_MAX_S:
            raise TransientError(f"topic '{topic}' has not answered for {SILENCE_MAX_S:.0f} s")
    return values
