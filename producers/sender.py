"""The sender: brings encoded events into the log, in order, each once.

1. `recover`       the log says which earlier promises it holds; the others are sent again as they were
2. `_promise`      ids that were published before are left out; the rest gets sequences and is durable in the journal
3. `_fly`          the broker's client takes the events
4. `Flight.report` the broker acknowledges one by one
5. `_land`         what is whole and in order leaves the journal; whoever waits for it goes on

It has no thread of its own: who calls does the work, under one lock. Two busy threads would only pass the
interpreter's lock to and fro.
"""

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from threading import RLock
from typing import Any, TypeVar

import pyarrow as pa
import structlog
from confluent_kafka import KafkaError, KafkaException, Message, TopicCollection

from bus.errors import TransientError
from bus.failpoints import failpoint
from bus.kafka import KafkaConnection, admin, bus_error, producer
from producers.encoding import Encoder
from producers.errors import ClosedError, DeliveryError, TopicMissingError
from producers.journal import Journal, Kept, Promise
from producers.preparation import Batch
from producers.recovery import LogTail, unsent

IN_FLIGHT_EVENTS_MAX = 50_000
IN_FLIGHT_BYTES_MAX = 64 << 20  # a quarter of what the broker's client takes: it is never full
WAIT_S = 0.05  # for the broker's word, before the lock is offered to others
ASK_TIMEOUT_S = 10.0
RETRY_S = 0.1
RETRY_MAX_S = 5.0
TELL_AFTER_TRIES = 3
MISSING_TRIES = 6  # two seconds: a topic is known to every broker well before
ATTENDED_S = 0.02
AWAITED_AFTER_S = 5.0  # silence of the broker beyond it is told, and told again

log = structlog.get_logger()
Answer = TypeVar("Answer")


class Flight:
    """Events on their way: how many the broker has still to acknowledge, and where the others lie in the log."""

    def __init__(self, promise: Promise, event_ids: Sequence[bytes]) -> None:
        self.promise = promise
        self.event_ids = event_ids
        self.size = sum(map(len, promise.values))
        self.unacknowledged = len(promise.values)
        self.positions: dict[int, int] = {}
        self.error: KafkaError | None = None

    def report(self, error: KafkaError | None, message: Message) -> None:
        """Takes the broker's word on one event."""
        if error is not None:
            self.error = error
            return
        self.unacknowledged -= 1
        partition, position = message.partition(), message.offset()
        assert partition is not None
        assert position is not None
        if position >= 0:  # unknown when the broker had it from an earlier try
            self.positions[partition] = position + 1


class Sender:
    """Sends batches, and says when the log has them."""

    def __init__(
        self,
        *,
        topic: str,
        source: str,
        kafka: KafkaConnection,
        journal: Journal,
        encoder: Encoder,
        on_delivered: Callable[[Sequence[bytes]], None],
    ) -> None:
        self.lock = RLock()
        self._topic = topic
        self._source = source
        self._kafka = kafka
        self._journal = journal
        self._encoder = encoder
        self._on_delivered = on_delivered
        self._producer = producer(kafka, linger_ms=0)  # events have lingered already, for each other
        self._flights: deque[Flight] = deque()
        self._landed: list[Flight] = []
        self._told_s = 0.0
        self._attended_at = 0.0
        self._in_flight_bytes = 0
        self._flown = 0
        self._done = 0
        self._heard_at = time.monotonic()
        self._failure: BaseException | None = None

    @property
    def is_idle(self) -> bool:
        """Whether the log has all that was sent, and the journal knows it."""
        with self.lock:
            return not self._flights and not self._landed

    def recover(self) -> None:
        """Takes up what an earlier publisher of the source left. Waits for the broker, loudly.

        Raises TopicMissingError, WrongJournalError, DivergedError, JournalError, BusError.
        """
        topic = self._patiently(self._described)
        self._journal.bind(str(topic.topic_id))
        tail = LogTail(self._kafka, self._topic, partitions=len(topic.partitions))
        missing = self._patiently(lambda: unsent(self._journal, tail, self._source))
        for promise in missing:
            self._fly(Flight(promise, ()))
        if missing:
            self._flights[-1].positions.update(tail.ends)
            log.info("promises_sent_again", topic=self._topic, source=self._source, events=self._flown)
        else:
            self._journal.settle(Kept(positions=tail.ends))

    def send(self, batch: Batch) -> int:
        """How many of the events are new; they are durable and on their way.

        Waits while too much is on its way already. Raises JournalError, DeliveryError, and then sends no more.
        """
        with self.lock:
            while self._is_full():
                self._work(wait_s=WAIT_S)
            self._hold_working()
            with self.failing():
                return self._promise(batch)

    @property
    def is_attended(self) -> bool:
        """Whether a thread that publishes took the broker's word a moment ago, and will again."""
        return time.monotonic() - self._attended_at < ATTENDED_S

    def work(self, *, is_attending: bool = True) -> None:
        """Takes the broker's word on what is on its way. Raises DeliveryError, JournalError."""
        with self.lock:
            self._work(wait_s=0)
            if is_attending:
                self._attended_at = time.monotonic()

    def wait_until_idle(self, *, until: float | None = None) -> None:
        """Returns when the log has all that was sent before, or at the given monotonic time. Raises as `work` does."""
        with self.lock:
            goal = self._flown
        while True:
            with self.lock:  # offered to others between two waits
                if self._done >= goal:
                    return
                self._work(wait_s=WAIT_S)
            if until is not None and time.monotonic() > until:
                return

    def close(self) -> None:
        """Ends the broker's client; what is still on its way stays in the journal."""
        with self.lock:
            self._failure = self._failure or ClosedError("the publisher is closed", remedy="open it anew")
            self._producer.purge()
            self._producer.close()

    def _work(self, *, wait_s: float) -> None:
        self._hold_working()
        with self.failing():
            self._producer.poll(wait_s)
            self._land()
            if self._landed:
                failpoint("publisher.landed")
                self._journal.settle(_kept(self._landed))
                self._tell_landed()
            self._tell_silence()

    def _promise(self, batch: Batch) -> int:
        if batch.is_remembered:
            batch = _without_known(batch, self._journal)
        if not batch.event_ids:
            return 0
        first_sequence = self._journal.next_sequence()
        promise = Promise(
            first_sequence=first_sequence,
            keys=batch.keys,
            values=self._encoder.values(batch.event_ids, first_sequence, batch.contents),
            remembered=batch.event_ids if batch.is_remembered else batch.remembered,
        )
        self._land()
        self._journal.promise(promise, _kept(self._landed))
        failpoint("publisher.promised")
        self._tell_landed()
        self._fly(Flight(promise, batch.event_ids))
        self._producer.poll(0)
        return len(batch.event_ids)

    def _fly(self, flight: Flight) -> None:
        if not self._flights:
            self._heard_at, self._told_s = time.monotonic(), 0.0
        self._flights.append(flight)
        self._flown += flight.unacknowledged
        self._in_flight_bytes += flight.size
        messages = [
            {"key": key, "value": value} for key, value in zip(flight.promise.keys, flight.promise.values, strict=True)
        ]
        taken = self._producer.produce_batch(self._topic, messages, on_delivery=flight.report)
        if taken < len(messages):
            faults = {str(message["_error"]) for message in messages if "_error" in message}
            raise self._undeliverable(", ".join(sorted(faults)))
        failpoint("publisher.flown")

    def _land(self) -> None:
        """Takes the flights that are whole, in order."""
        while self._flights:
            flight = self._flights[0]
            if flight.error is not None:
                raise self._undeliverable(flight.error.str())
            if flight.unacknowledged:
                return
            self._landed.append(self._flights.popleft())
            self._in_flight_bytes -= flight.size
            self._heard_at, self._told_s = time.monotonic(), 0.0

    def _tell_landed(self) -> None:
        """Tells of flights whose journal entries are gone."""
        for flight in self._landed:
            self._done += len(flight.promise.values)
            if flight.event_ids:
                self._on_delivered(flight.event_ids)
        self._landed.clear()

    def _is_full(self) -> bool:
        return self._flown - self._done >= IN_FLIGHT_EVENTS_MAX or self._in_flight_bytes >= IN_FLIGHT_BYTES_MAX

    @contextmanager
    def failing(self) -> Iterator[None]:
        """After any failure nothing more is sent: what followed it would overtake what it hit."""
        try:
            yield
        except BaseException as exc:
            self._failure = exc
            self._producer.purge()
            log.error("publishing_stopped", topic=self._topic, source=self._source, error=type(exc).__name__)
            raise

    def _hold_working(self) -> None:
        if self._failure is not None:
            raise self._failure

    def _patiently(self, ask: Callable[[], Answer]) -> Answer:
        """What the broker answers, however long it is away; of a topic it may hear a moment later than we."""
        tried = 0
        while True:
            try:
                return ask()
            except (TransientError, TopicMissingError) as exc:
                tried += 1
                if isinstance(exc, TopicMissingError) and tried > MISSING_TRIES:
                    raise
                if tried >= TELL_AFTER_TRIES:
                    log.warning("broker_awaited", topic=self._topic, source=self._source, error=exc.message)
                time.sleep(min(RETRY_S * tried, RETRY_MAX_S))

    def _tell_silence(self) -> None:
        silence_s = time.monotonic() - self._heard_at
        if self._flights and silence_s >= self._told_s + AWAITED_AFTER_S:
            self._told_s = silence_s
            log.warning(
                "broker_awaited",
                topic=self._topic,
                source=self._source,
                waited_s=round(silence_s),
                unacknowledged=self._flown - self._done,
            )

    def _described(self) -> Any:  # the package does not export the type
        client = admin(self._kafka)  # it must outlive its answer
        asked = client.describe_topics(TopicCollection([self._topic]), request_timeout=ASK_TIMEOUT_S)
        try:
            return asked[self._topic].result()
        except KafkaException as exc:
            if exc.args[0].code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
                raise TopicMissingError(
                    f"the topic '{self._topic}' does not exist", remedy="run 'yekbar catalogue apply'"
                ) from exc
            raise bus_error(exc, f"asking for the topic '{self._topic}'") from exc

    def _undeliverable(self, fault: str) -> DeliveryError:
        return DeliveryError(
            f"the broker refuses an event of '{self._topic}' for good: {fault}",
            remedy="mend the cause (the topic's limits, this client's rights) and publish again: the journal has it",
        )


def _without_known(batch: Batch, journal: Journal) -> Batch:
    """The batch without events that were published before, or that it holds twice."""
    known = set(journal.known(batch.event_ids))
    places = []
    for place, event_id in enumerate(batch.event_ids):
        if event_id not in known:
            known.add(event_id)
            places.append(place)
    if len(places) == len(batch.event_ids):
        return batch
    return Batch(
        keys=[batch.keys[place] for place in places],
        event_ids=[batch.event_ids[place] for place in places],
        contents=batch.contents.take(pa.array(places, pa.int64())),
        is_remembered=True,
    )


def _kept(landed: Sequence[Flight]) -> Kept:
    """What flights that have landed in order say together: a later one's position in a partition is the higher one."""
    positions: dict[int, int] = {}
    for flight in landed:
        positions.update(flight.positions)
    return Kept(first_sequences=[flight.promise.first_sequence for flight in landed], positions=positions)
