"""Reads stretches of a topic with an assignment of its own: no group takes part, nothing is committed."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from bus.errors import TransientError
from bus.kafka import REQUEST_TIMEOUT_S, KafkaConnection, admin, bus_error, consumer
from consumers.audit.errors import UnreadableLogError
from consumers.materializer.check import Arrived
from consumers.materializer.reading import topic_ids

GROUP = "yekbar-audit"  # the client wants a name; it joins no group, for it never subscribes
MESSAGES_MAX = 10_000  # of one batch: enough for the columns, little for the memory
WAIT_S = 0.5
LINGER_S = 0.02  # under a backlog a batch is full before; at the end of the log nothing is waited for
SILENCE_MAX_S = 60  # a broker that is restarted is back earlier
_MILLISECOND = timedelta(milliseconds=1)
_EPOCH = datetime.fromisoformat("1970-01-01T00:00:00Z")

# The end of the log is told at once, for nothing is waited for there; other requests queue behind a fetch that waits.
_OPTIONS: Mapping[str, str | int | float | bool] = {"enable.partition.eof": True, "fetch.wait.max.ms": 10}

Tell = Callable[[int], object]
Message = Any  # the library says that each of a message's parts may be None; of a message that was read none is


@dataclass(frozen=True, slots=True)
class Stretch:
    """A part of one partition, from a position to before another."""

    start: int
    stop: int

    @property
    def length(self) -> int:
        """How many positions it has; a log written in transactions has fewer messages."""
        return max(0, self.stop - self.start)


Stretches = Mapping[int, Stretch]  # by partition


class Log:
    """The topics of a cluster, as an auditor reads them."""

    def __init__(self, connection: KafkaConnection) -> None:
        self._connection = connection
        self._asking = consumer(connection, group=GROUP, **_OPTIONS)

    def __enter__(self) -> "Log":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._asking.close()

    def bounds(self, topic: str) -> dict[int, Stretch]:
        """All that each partition holds now. Raises UnreadableLogError when there is no such topic."""
        try:
            found = self._asking.list_topics(topic, timeout=REQUEST_TIMEOUT_S).topics[topic]
            if found.error is not None:
                raise UnreadableLogError(
                    f"there is no topic '{topic}': {found.error.str()}", remedy="run 'yekbar catalogue apply'"
                )
            places = [TopicPartition(topic, partition) for partition in sorted(found.partitions)]
            return {
                place.partition: Stretch(*self._asking.get_watermark_offsets(place, timeout=REQUEST_TIMEOUT_S))
                for place in places
            }
        except KafkaException as exc:
            raise bus_error(exc, f"asking how long topic '{topic}' is") from exc

    def topic_id(self, topic: str) -> str:
        """Kafka's id of a topic: another one means that the topic was made anew. Raises LogAccidentError, BusError."""
        return topic_ids(admin(self._connection), [topic])[topic]

    def positions_after(self, topic: str, instant: datetime) -> dict[int, int]:
        """In each partition, the first position that was known after the instant; the end where none was."""
        bounds = self.bounds(topic)
        first_after = (instant - _EPOCH) // _MILLISECOND + 1
        asked = [TopicPartition(topic, partition, first_after) for partition in bounds]
        try:
            found = self._asking.offsets_for_times(asked, timeout=REQUEST_TIMEOUT_S)
        except KafkaException as exc:
            raise bus_error(exc, f"asking topic '{topic}' for a time") from exc
        return {place.partition: place.offset if place.offset >= 0 else bounds[place.partition].stop for place in found}

    def read(self, topic: str, stretches: Stretches, *, tell: Tell | None = None) -> Iterator[Arrived]:
        """The messages of the stretches, in batches; `tell` hears of each batch's size.

        Raises UnreadableLogError when the log does not hold a stretch, or does not answer.
        """
        self._refuse_beyond(topic, stretches)
        left = {partition: stretch for partition, stretch in stretches.items() if stretch.length}
        stops = {partition: stretch.stop for partition, stretch in left.items()}
        reading = consumer(self._connection, group=GROUP, **_OPTIONS)
        try:
            reading.assign([TopicPartition(topic, partition, stretch.start) for partition, stretch in left.items()])
            heard = time.monotonic()
            while stops:
                batch: list[Message] = reading.consume(1, WAIT_S)
                if batch:
                    batch += reading.consume(MESSAGES_MAX - 1, LINGER_S)
                    heard = time.monotonic()
                elif time.monotonic() - heard > SILENCE_MAX_S:
                    raise UnreadableLogError(
                        f"topic '{topic}' has not answered for {SILENCE_MAX_S} s", remedy="check the brokers"
                    )
                taken = _taken(reading, batch, stops)
                if taken:
                    yield _arrived(taken)
                if tell is not None:
                    tell(len(taken))
        finally:
            reading.close()

    def _refuse_beyond(self, topic: str, stretches: Stretches) -> None:
        bounds = self.bounds(topic)
        for partition, stretch in stretches.items():
            held = bounds.get(partition, Stretch(0, 0))
            if stretch.length and stretch.start < held.start:
                raise UnreadableLogError(
                    f"partition {partition} of topic '{topic}' begins at {held.start}, not at {stretch.start}: "
                    "earlier events are gone",
                    remedy="a log that is to be audited keeps everything; restore the topic",
                )
            if stretch.stop > held.stop:
                raise UnreadableLogError(
                    f"partition {partition} of topic '{topic}' ends at {held.stop}, before {stretch.stop}",
                    remedy="the topic was cut or made anew; restore it, or see the runbook",
                )


def _taken(reading: Consumer, batch: Sequence[Message], stops: dict[int, int]) -> list[Message]:
    """The messages of a batch that lie before the stops; a partition that has come to its stop leaves them."""
    messages = [message for message in batch if message.error() is None]
    places = [(message.partition(), message.offset()) for message in messages]
    taken = [
        message
        for message, (partition, position) in zip(messages, places, strict=True)
        if position < stops.get(partition, 0)
    ]
    reached = dict(places)  # the last of each partition
    if len(messages) < len(batch):
        reached.update(_ends(batch))
    for partition, position in reached.items():
        if partition in stops and position + 1 >= stops[partition]:
            del stops[partition]
            reading.pause([TopicPartition(batch[0].topic(), partition)])
    return taken


def _ends(batch: Sequence[Message]) -> Iterator[tuple[int, int]]:
    """Where partitions end. Raises BusError for what the client does not mend by itself."""
    for message in batch:
        error = message.error()
        if error is None:
            continue
        if error.code() == KafkaError._PARTITION_EOF:
            yield message.partition(), message.offset()
            continue
        failure = bus_error(error, f"reading topic '{message.topic()}'")
        if not isinstance(failure, TransientError):  # a lasting silence is noticed
            raise failure


def _arrived(batch: Sequence[Message]) -> Arrived:
    return Arrived(
        keys=[message.key() for message in batch],
        values=[message.value() for message in batch],
        partitions=[message.partition() for message in batch],
        positions=[message.offset() for message in batch],
        known_at_ms=[message.timestamp()[1] for message in batch],
    )
