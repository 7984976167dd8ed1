"""The heart of a source: it beats as often as the contract promises, and tells how far the source has come."""

import time
from datetime import datetime

import structlog
from confluent_kafka import KafkaError, Message

from bus.heartbeats import HEARTBEAT_SCHEMA, Heartbeat, encode_heartbeat
from bus.kafka import KafkaConnection, producer
from bus.topics import SOURCE_HEARTBEATS, event_subject_name
from registry.client import SchemaRegistry
from registry.contracts import RecordType

BEAT_PAUSE_S = 1.0  # between two beats of one source, however much it sends
BEATS_PER_PROMISE = 2  # so that one lost beat breaks no promise

log = structlog.get_logger()


class Heart:
    """Beats for the sources of one on-ramp. A beat that is lost is no loss: the next one says more."""

    def __init__(self, *, kafka: KafkaConnection, registry: SchemaRegistry) -> None:
        self._schema_id = registry.register(event_subject_name(SOURCE_HEARTBEATS), HEARTBEAT_SCHEMA)
        self._producer = producer(kafka, linger_ms=0)
        self._beaten: dict[str, tuple[int, float]] = {}

    def beat(self, record_type: RecordType, *, source: str, last_sequence: int, complete_until: datetime) -> None:
        """Tells how far a source has come, when that is new or the last word of it is old enough."""
        self._producer.poll(0)
        before, at = self._beaten.get(source, (-1, 0.0))
        pause_s = record_type.heartbeat.total_seconds() / BEATS_PER_PROMISE
        if time.monotonic() - at < (pause_s if last_sequence == before else BEAT_PAUSE_S):
            return
        self._beaten[source] = (last_sequence, time.monotonic())
        said = Heartbeat(
            source=source, record_type=record_type.id, last_sequence=last_sequence, complete_until=complete_until
        )
        value = encode_heartbeat(said, self._schema_id)
        self._producer.produce(SOURCE_HEARTBEATS, key=source.encode(), value=value, on_delivery=_take)

    def close(self) -> None:
        """Lets the last beats go, but waits for no broker that is away."""
        self._producer.flush(1.0)
        self._producer.purge()
        self._producer.close()


def _take(error: KafkaError | None, _: Message) -> None:
    if error is not None:
        log.warning("heartbeat_lost", error=error.name())
