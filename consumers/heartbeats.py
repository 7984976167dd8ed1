"""Heartbeats as they are kept: what each source said of itself last, and whether all of it has arrived.

A lost event leaves no trace in what did arrive when it was the source's last; its next heartbeat tells of it. Every
process that keeps them reads the whole topic, which holds the last word of each source, and writes the same rows.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import structlog
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, Message, TopicPartition
from psycopg.rows import class_row

from bus.database import session_options
from bus.errors import TransientError
from bus.heartbeats import Heartbeat, decode_heartbeat
from bus.kafka import REQUEST_TIMEOUT_S, KafkaConnection, bus_error, consumer, producer
from bus.topics import SOURCE_HEARTBEATS
from consumers.views import statement

POLL_S = 1.0
BEATS_MAX = 1_000
RETRY_S = 2.0
SETTINGS = "-c timezone=UTC"

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceCompleteness:
    """What a source has sent by its own word and its events, and what of it is there.

    Everything that it had sent until `whole_until` is in the view; None while it has said nothing of itself, or while
    what it said has never been there.
    """

    view: str
    source: str
    sent: int
    received: int
    missing: int
    heard_at: datetime | None
    complete_until: datetime | None
    whole_until: datetime | None
    has_heart: bool


def completeness(connection: psycopg.Connection[Any]) -> Sequence[SourceCompleteness]:
    """The sources of every view."""
    with connection.cursor(row_factory=class_row(SourceCompleteness)) as cursor:
        return cursor.execute(
            "SELECT view, source, sent, received, missing, heard_at, complete_until, whole_until, has_heart"
            " FROM yekbar.source_completeness ORDER BY view, source"
        ).fetchall()


def retire_source(kafka: KafkaConnection, source: str) -> None:
    """Takes back a source's last word: it is gone for good, and its silence is no fault. Raises TransientError."""
    sender = producer(kafka, linger_ms=0)
    sender.produce(SOURCE_HEARTBEATS, key=source.encode(), value=None)
    if sender.flush(REQUEST_TIMEOUT_S):
        sender.purge()
        raise TransientError("Kafka is away while a source is retired", remedy="try again")


class HeartbeatKeeper:
    """Keeps the last word of each source in the database until it is told to stop."""

    def __init__(self, *, database_url: str, kafka: KafkaConnection, topic: str = SOURCE_HEARTBEATS) -> None:
        self._database_url = database_url
        self._kafka = kafka
        self._topic = topic

    def run(self, must_stop: threading.Event) -> None:
        """Keeps them; a database or a broker that is away is waited for."""
        while not must_stop.is_set():
            reading = consumer(self._kafka, group="yekbar-heartbeats")
            try:
                with psycopg.connect(
                    self._database_url, autocommit=True, options=session_options(self._database_url, SETTINGS)
                ) as connection:
                    reading.assign(self._partitions(reading))
                    while not must_stop.is_set():
                        self._step(connection, reading)
            except (psycopg.OperationalError, psycopg.errors.UndefinedTable, TransientError) as exc:
                log.warning("heartbeats_awaited", fault=type(exc).__name__)
                must_stop.wait(RETRY_S)
            finally:
                reading.close()

    def _partitions(self, reading: Consumer) -> list[TopicPartition]:
        try:
            found = reading.list_topics(self._topic, timeout=REQUEST_TIMEOUT_S).topics[self._topic]
        except KafkaException as exc:
            raise bus_error(exc, "asking for heartbeats") from exc
        if found.error is not None:
            raise TransientError(f"there is no topic '{self._topic}'", remedy="run 'yekbar catalogue apply'")
        return [TopicPartition(self._topic, partition, OFFSET_BEGINNING) for partition in found.partitions]

    def _step(self, connection: psycopg.Connection[Any], reading: Consumer) -> None:
        messages = [one for one in reading.consume(BEATS_MAX, POLL_S) if one.error() is None]
        beats: dict[str, tuple[Heartbeat, datetime] | None] = {}
        for message in messages:
            beats[(message.key() or b"").decode("utf-8", "replace")] = _beat(message)
        heard = [beat for beat in beats.values() if beat is not None]
        retired = [source for source, beat in beats.items() if beat is None]
        if heard:
            connection.execute(
                statement("heartbeats_take.sql"),
                {
                    "views": [beat.record_type for beat, _ in heard],
                    "sources": [beat.source for beat, _ in heard],
                    "sequences": [beat.last_sequence for beat, _ in heard],
                    "complete_until": [beat.complete_until for beat, _ in heard],
                    "heard_at": [at for _, at in heard],
                },
            )
        if retired:
            connection.execute("DELETE FROM yekbar.heartbeats WHERE source = ANY (%s)", (retired,))
        connection.execute(statement("heartbeats_settle.sql"))


def _beat(message: Message) -> tuple[Heartbeat, datetime] | None:
    """What a message says, and when the log took it; None for one that takes a source back, or says nothing."""
    value = message.value()
    if value is None:
        return None
    at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=message.timestamp()[1])
    try:
        return decode_heartbeat(value), at
    except Exception as exc:  # one source's broken word must not silence the others
        log.error("heartbeat_unreadable", fault=type(exc).__name__, position=message.offset())
        return None
