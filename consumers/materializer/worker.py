"""One process of the materializer: reads, checks and encodes in one thread while another writes.

1. consume    `Reader.read`
2. decode     `Checker.check`, in columns
3. check      `Checker.check`, then `Sequences.mark`
4. encode     `encode`, sorted, as COPY takes it
5. apply      `Writer`, in one transaction behind the fence
6. commit     `Writer`, then the quarantine topic and, as a lag hint, Kafka's offsets

A failure that waiting may mend (database, broker or registry away, a partition taken over) drops what is in hand and
joins anew: the positions in PostgreSQL say where to go on. Any other failure stops the process and is told.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import polars as pl
import psycopg
import structlog
from confluent_kafka import KafkaException

from bus.errors import TransientError
from bus.failpoints import failpoint
from bus.kafka import KafkaConnection, bus_error, producer
from bus.topics import record_type_of, records_topic
from consumers.errors import FencedError
from consumers.materializer.apply import encode
from consumers.materializer.check import Arrived, Checker
from consumers.materializer.positions import mark_caught_up, take_over
from consumers.materializer.reading import PartitionId, Reader
from consumers.materializer.sequences import Sequences
from consumers.materializer.tally import Tally
from consumers.materializer.tracing import Tracer
from consumers.materializer.writer import TopicBatch, Writer
from consumers.quarantine import announce
from registry.client import SchemaRegistry
from registry.contracts import RecordType
from registry.errors import RegistryUnavailableError

GROUP = "yekbar-materializer"
MENDED_BY_WAITING = (
    FencedError,
    TransientError,
    RegistryUnavailableError,
    psycopg.OperationalError,
    psycopg.errors.IdleInTransactionSessionTimeout,  # we froze in a transaction, and the server let go of it
    psycopg.errors.TransactionTimeout,
)
REPORT_EVERY_S = 1.0  # how old "caught up" may be in an answer's freshness, at most
PAUSE_FIRST_S = 0.2
PAUSE_MAX_S = 5.0

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What a worker works with."""

    kafka: KafkaConnection
    database_url: str
    registry: SchemaRegistry
    record_types: Sequence[RecordType]
    group: str = GROUP
    is_traced: bool = False


class Worker:
    """Keeps the views of the partitions that the group gives to it equal to the log."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._checkers: dict[str, Checker] = {one.id: Checker(one, parts.registry) for one in parts.record_types}
        self._sequences: dict[str, Sequences] = {one.id: Sequences(one.id) for one in parts.record_types}
        self.tally = Tally()

    def run(self, is_done: Callable[[], bool]) -> Tally:
        """Works until told that it is done. Raises LogAccidentError and whatever waiting cannot mend."""
        pause_s = PAUSE_FIRST_S
        while not is_done():
            began = time.monotonic()
            try:
                _Membership(self._parts, self._checkers, self._sequences, self.tally).run(is_done)
            except MENDED_BY_WAITING as exc:
                if time.monotonic() - began > PAUSE_MAX_S:
                    pause_s = PAUSE_FIRST_S
                self.tally.join_anew(type(exc).__name__)
                log.warning("materializer_joins_anew", because=type(exc).__name__, what=str(exc), pause_s=pause_s)
                time.sleep(pause_s)
                pause_s = min(2 * pause_s, PAUSE_MAX_S)
        return self.tally


class _Membership:
    """One stay in the consumer group: from joining it to leaving it, in order or by a failure."""

    def __init__(
        self, parts: Parts, checkers: dict[str, Checker], sequences: dict[str, Sequences], tally: Tally
    ) -> None:
        self._parts = parts
        self._checkers = checkers
        self._sequences = sequences
        self._tally = tally
        self._writer = Writer(parts.database_url, tally)
        self._tracer = Tracer(is_on=parts.is_traced)
        self._reported_at = 0.0

    def run(self, is_done: Callable[[], bool]) -> None:
        """Reads and hands over batches until told that it is done; then what was read is written."""
        topics = [records_topic(one.id) for one in self._parts.record_types]
        try:
            with (
                psycopg.connect(self._parts.database_url, autocommit=True) as self._connection,
                Reader(
                    self._parts.kafka,
                    group=self._parts.group,
                    topics=topics,
                    on_assigned=self._take_over,
                    on_revoked=self._give_up,
                ) as reader,
            ):
                self._quarantine = producer(self._parts.kafka)
                while not is_done():
                    self._turn(reader)
                self._writer.drain()
                self._report(reader)
        except KafkaException as exc:
            raise bus_error(exc, "reading the log") from exc
        finally:
            self._writer.close()

    def _turn(self, reader: Reader) -> None:
        began = time.perf_counter()
        taken = reader.read()
        consumed = time.perf_counter()
        if not taken.is_empty:
            failpoint("materializer.consumed")
            batch = [self._topic_batch(topic, arrived, taken.reads_to) for topic, arrived in taken.arrived.items()]
            batch += self._ends_alone(taken.reads_to, set(taken.arrived))
            encoded = time.perf_counter()
            failpoint("materializer.encoded")
            self._writer.put(batch)
            self._tally.spend("consume", consumed - began)
            self._tally.spend("wait", time.perf_counter() - encoded)
        self._writer.raise_failure()
        if time.monotonic() - self._reported_at >= REPORT_EVERY_S:
            self._report(reader)

    def _topic_batch(self, topic: str, arrived: Arrived, reads_to: Mapping[PartitionId, int]) -> TopicBatch:
        record_type_id = record_type_of(topic)
        assert record_type_id is not None
        checker = self._checkers[record_type_id]
        trace = self._tracer.choose(topic, arrived)
        began = time.perf_counter()
        checked = checker.check(arrived)
        failpoint("materializer.checked")
        events = self._sequences[record_type_id].mark(checked.events)
        takeable = events.filter(pl.col("reason").is_null()) if checked.refused else events
        seen = time.perf_counter()
        self._tally.spend("check", seen - began)
        trace.step("checked", is_refused=any(one.row == trace.row for one in checked.refused))
        encoded = encode(checker.record_type, takeable) if takeable.height else None
        self._tally.spend("encode", time.perf_counter() - seen)
        trace.step("encoded")
        return TopicBatch(
            record_type=checker.record_type,
            topic=topic,
            arrived=arrived,
            events=events.select(*_COUNTED),
            encoded=encoded,
            refused=checked.refused,
            doubts=checked.doubts,
            trace=trace,
            reads_to={number: position for (name, number), position in reads_to.items() if name == topic},
        )

    def _ends_alone(self, reads_to: Mapping[PartitionId, int], with_events: set[str]) -> list[TopicBatch]:
        """Positions that moved over messages that are no events, such as the markers of transactions."""
        batches = []
        for topic in {name for name, _ in reads_to} - with_events:
            record_type_id = record_type_of(topic)
            assert record_type_id is not None
            batches.append(
                TopicBatch(
                    record_type=self._checkers[record_type_id].record_type,
                    topic=topic,
                    arrived=Arrived(keys=[], values=[], partitions=[], positions=[], known_at_ms=[]),
                    events=pl.DataFrame(),
                    encoded=None,
                    refused=(),
                    reads_to={number: position for (name, number), position in reads_to.items() if name == topic},
                )
            )
        return batches

    def _take_over(self, topic: str, topic_id: str, partition: int) -> int:
        view = record_type_of(topic)
        assert view is not None
        owned = take_over(self._connection, view=view, topic=topic, topic_id=topic_id, partition=partition)
        self._sequences[view].load(self._connection, partition)
        self._writer.own(topic, owned)
        log.debug("partition_taken_over", topic=topic, partition=partition, position=owned.next_position)
        return owned.next_position

    def _give_up(self, partitions: Sequence[PartitionId]) -> None:
        self._writer.drain()
        for topic, partition in partitions:
            self._writer.disown((topic, partition))
            self._sequences[record_type_of(topic) or ""].forget(partition)
            log.debug("partition_given_up", topic=topic, partition=partition)

    def _report(self, reader: Reader) -> None:
        """Says how fresh the views are, hands quarantine to its topics, and hints to Kafka where we are."""
        self._reported_at = time.monotonic()
        reader.confirm_topics()
        asked_at = datetime.now(UTC)
        ends = reader.ends(list(self._writer.committed))
        committed = self._writer.committed
        caught_up = [owned for place, owned in committed.items() if owned.next_position >= ends.get(place, 0)]
        if caught_up:
            mark_caught_up(self._connection, caught_up, asked_at)
        failpoint("materializer.announcing")
        while announce(self._connection, self._quarantine):
            pass
        failpoint("materializer.hinting")
        reader.hint({place: owned.next_position for place, owned in committed.items()})


_COUNTED = ("source", "sequence", "partition", "position", "recorded_at", "known_at", "reason", "is_suspect")
