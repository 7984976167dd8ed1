"""Runs workers as processes of one consumer group, watches over what their rules find, and says how far they are.

Processes, for one Python process uses one core; spawned, for Polars' threads do not survive a fork.
"""

import multiprocessing
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from multiprocessing.synchronize import Event
from typing import Any

import psycopg
import structlog
from confluent_kafka.admin import AdminClient

from bus.kafka import REQUEST_TIMEOUT_S, KafkaConnection, admin
from bus.telemetry import configure_logging
from bus.topics import records_topic
from consumers.errors import ConsumerError
from consumers.materializer.reading import PartitionId, log_ends
from consumers.materializer.worker import MENDED_BY_WAITING, Parts, Worker
from consumers.quality_watch import QualityWatch
from registry.client import ConfluentSchemaRegistry
from registry.contracts import RecordType

WATCH_EVERY_S = 0.2
STOP_TIMEOUT_S = 30

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Assembly:
    """What a worker process is made of; values that can be sent to a spawned process."""

    kafka: KafkaConnection
    database_url: str
    schema_registry_url: str
    record_types: tuple[RecordType, ...]
    group: str
    is_traced: bool = False

    def parts(self) -> Parts:
        """The parts, made in the process that uses them."""
        return Parts(
            kafka=self.kafka,
            database_url=self.database_url,
            registry=ConfluentSchemaRegistry(self.schema_registry_url),
            record_types=self.record_types,
            group=self.group,
            is_traced=self.is_traced,
        )

    def watch(self) -> QualityWatch:
        """The watch over what rules find."""
        return QualityWatch(
            kafka=self.kafka,
            database_url=self.database_url,
            registry=ConfluentSchemaRegistry(self.schema_registry_url),
            record_types=self.record_types,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far the views are: events applied or put aside, and events in the log, over all partitions."""

    done: int
    known: int

    @property
    def lag(self) -> int:
        """Events that the log holds and the views do not have yet."""
        return self.known - self.done


class ProgressMeter:
    """Compares the positions in the database with the ends of the log."""

    def __init__(self, kafka: KafkaConnection, database_url: str, record_types: Sequence[RecordType]) -> None:
        self._admin: AdminClient = admin(kafka)
        self._database_url = database_url
        topics = {records_topic(one.id): one.id for one in record_types}
        described = self._admin.list_topics(timeout=REQUEST_TIMEOUT_S).topics
        self._views = topics
        self._partitions: list[PartitionId] = [
            (topic, number) for topic in topics if topic in described for number in described[topic].partitions
        ]

    def read(self) -> Progress:
        """Where things stand now. Raises BusError, psycopg.Error."""
        ends = log_ends(self._admin, self._partitions)
        with psycopg.connect(self._database_url) as connection:
            rows = connection.execute("SELECT view, partition, next_position FROM yekbar.positions").fetchall()
        positions = {(view, partition): position for view, partition, position in rows}
        done = sum(min(positions.get((self._views[topic], number), 0), end) for (topic, number), end in ends.items())
        return Progress(done=done, known=sum(ends.values()))


def materialize(
    assembly: Assembly,
    *,
    workers: int = 1,
    until_caught_up: bool = False,
    is_stopped: Callable[[], bool] = lambda: False,
    on_progress: Callable[[Progress], None] = lambda _: None,
) -> Progress:
    """Runs workers until told to stop or, where asked, until the views hold all that the log held at some moment.

    `on_progress` hears nothing while the database or the broker is away, which the workers wait for. In the end, where
    all is read, what rules across registers find is found too. Raises ConsumerError when a worker ends by itself: its
    own message is in its log.
    """
    meter = ProgressMeter(assembly.kafka, assembly.database_url, assembly.record_types)
    context = multiprocessing.get_context("spawn")
    stop = context.Event()
    processes = [
        context.Process(target=_work, args=(assembly, stop), name=f"materializer-{number}", daemon=True)
        for number in range(1, workers + 1)
    ]
    for process in processes:
        process.start()
    try:
        with _watching(assembly.watch()):
            while not is_stopped():
                progress = _read(meter)
                if progress is not None:
                    on_progress(progress)
                    if until_caught_up and progress.lag == 0:
                        break
                _expect_alive(processes)
                time.sleep(WATCH_EVERY_S)
    finally:
        stop.set()
        for process in processes:
            process.join(STOP_TIMEOUT_S)
            process.kill()
    if until_caught_up:
        assembly.watch().catch_up()
    return meter.read()


def _read(meter: ProgressMeter) -> Progress | None:
    with suppress(*MENDED_BY_WAITING):
        return meter.read()
    return None


@contextmanager
def _watching(watch: QualityWatch) -> Iterator[None]:
    must_stop = threading.Event()
    thread = threading.Thread(target=watch.run, args=(must_stop,), name="quality-watch", daemon=True)
    thread.start()
    try:
        yield
    finally:
        must_stop.set()
        thread.join(STOP_TIMEOUT_S)


def _expect_alive(processes: Sequence[BaseProcess]) -> None:
    for process in processes:
        if process.exitcode is not None:
            error = ConsumerError(
                f"{process.name} ended with code {process.exitcode}", remedy="its last log lines say why"
            )
            error.exit_code = process.exitcode or 1
            raise error


def _work(assembly: Assembly, stop: Event) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group: the parent tells us to stop
    configure_logging()
    parent: Any = multiprocessing.parent_process()
    try:
        Worker(assembly.parts()).run(lambda: stop.is_set() or not parent.is_alive())
    except ConsumerError as exc:
        raise SystemExit(_told(exc)) from exc


def _told(exc: ConsumerError) -> int:
    log.error("materializer_stopped", because=type(exc).__name__, what=str(exc))
    return exc.exit_code
