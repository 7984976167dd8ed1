"""Reads stretches of a topic with an assignment of its own: no group takes part, nothing is committed."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import TracebackType
from typing import cast

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from bus.errors import TransientError
from bus.kafka import REQUEST_TIMEOUT_S, KafkaConnection, bus_error, consumer
from consumers.audit.errors import UnreadableLogError
from consumers.materializer.check import Arrived

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
        reading = consumer(self._connection, group=GROUP, **_OPTIONS)
        try:
            reading.assign([TopicPartition(topic, partition, stretch.start) for partition, stretch in left.items()])
            heard = time.monotonic()
            while left:
                batch = reading.consume(1, WAIT_S)
                if batch:
                    batch += reading.consume(MESSAGES_MAX - 1, LINGER_S)
                    heard = time.monotonic()
                elif time.monotonic() - heard > SILENCE_MAX_S:
                    raise UnreadableLogError(
                        f"topic '{topic}' has not answered for {SILENCE_MAX_S} s", remedy="check the brokers"
                    )
                taken = [message for message in batch if _takes(reading, message, left)]
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


def _takes(reading: Consumer, message: Message, left: dict[int, Stretch]) -> bool:
    """Whether the message belongs to what is left to read, which shrinks by it; a partition's end ends it too."""
    topic, partition, position, error = message.topic(), message.partition(), message.offset(), message.error()
    if error is not None and error.code() != KafkaError._PARTITION_EOF:
        failure = bus_error(error, f"reading topic '{topic}'")
        if isinstance(failure, TransientError):
            return False  # the client goes on by itself; a lasting silence is noticed
        raise failure
    assert topic is not None
    assert partition is not None
    assert position is not None
    if partition not in left:
        return False
    stop = left[partition].stop
    if position + 1 >= stop:
        del left[partition]
        reading.pause([TopicPartition(topic, partition)])
    else:
        left[partition] = Stretch(position + 1, stop)
    return error is None and position < stop


def _arrived(batch: Sequence[Message]) -> Arrived:
    return Arrived(
        keys=[message.key() for message in batch],
        values=[message.value() for message in batch],
        partitions=[cast(int, message.partition()) for message in batch],
        positions=[cast(int, message.offset()) for message in batch],
        known_at_ms=[message.timestamp()[1] for message in batch],
    )
