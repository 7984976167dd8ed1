"""The writing half of the materializer: one transaction a batch, in a thread of its own behind a short queue.

5. `_apply`    positions forward behind the fence, then each topic's events, findings, counts and quarantine
6. the commit  PostgreSQL; `synchronous_commit = off` is safe, for the position is in the same transaction: after a
               crash of the server the log is read again from there
"""

import queue
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import polars as pl
import psycopg
import structlog

from bus.database import session_options
from bus.failpoints import failpoint
from bus.kafka import POLL_INTERVAL_MAX_MS, SESSION_TIMEOUT_MS
from bus.reasons import Reason
from consumers.errors import FencedError
from consumers.materializer.apply import Encoded, LogPlace, apply
from consumers.materializer.check import Arrived, Refused
from consumers.materializer.positions import Move, Owned, advance
from consumers.materializer.sequences import count
from consumers.materializer.tally import Outcome, Tally
from consumers.materializer.tracing import SILENT, Trace
from consumers.quality import follow_events, put_findings
from consumers.quarantine import PutAside, put_aside
from registry.contracts import RecordType

BATCHES_WAITING_MAX = 2  # enough to keep both halves busy; more would only be memory
_STOP = None

# Plans made while a table was empty must not live on: keep to index loops, whatever the statistics say.
SESSION_SETTINGS = (
    "-c synchronous_commit=off -c enable_hashjoin=off -c enable_mergejoin=off -c enable_seqscan=off"
    " -c enable_material=off -c enable_bitmapscan=off -c jit=off"
    # A process that froze in a transaction holds the positions' rows: who takes over must not wait for it for ever.
    f" -c idle_in_transaction_session_timeout={SESSION_TIMEOUT_MS} -c transaction_timeout={POLL_INTERVAL_MAX_MS}"
)

log = structlog.get_logger()
PartitionId = tuple[str, int]  # topic and partition


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicBatch:
    """What a batch holds of one topic. `reads_to` says, by partition, the position behind the last message read."""

    record_type: RecordType
    topic: str
    arrived: Arrived
    events: pl.DataFrame
    encoded: Encoded | None
    refused: tuple[Refused, ...]
    reads_to: dict[int, int]
    doubts: pl.DataFrame = field(default_factory=pl.DataFrame)
    trace: Trace = SILENT


class Writer:
    """Applies batches in the order in which they are put; its connection is its own."""

    def __init__(self, database_url: str, tally: Tally) -> None:
        self._connection = psycopg.connect(
            database_url, autocommit=True, options=session_options(database_url, SESSION_SETTINGS)
        )
        self._batches: queue.Queue[Sequence[TopicBatch] | None] = queue.Queue(BATCHES_WAITING_MAX)
        self._failure: BaseException | None = None
        self._owned: dict[PartitionId, Owned] = {}
        self.tally = tally
        self._thread = threading.Thread(target=self._run, name="materializer-writer", daemon=True)
        self._thread.start()

    def own(self, topic: str, owned: Owned) -> None:
        """A partition has become ours; nothing of it is waiting."""
        self._owned[topic, owned.partition] = owned

    def disown(self, partition: PartitionId) -> None:
        """A partition is ours no more; what was waiting has been written or has failed."""
        self._owned.pop(partition, None)

    @property
    def committed(self) -> dict[PartitionId, Owned]:
        """Where each partition of ours stands in the database."""
        return dict(self._owned)

    def put(self, batch: Sequence[TopicBatch]) -> None:
        """Queues a batch; waits while the queue is full. Raises what the thread failed with."""
        while True:
            self.raise_failure()
            try:
                return self._batches.put(batch, timeout=1)
            except queue.Full:
                continue

    def drain(self) -> None:
        """Returns when all that was put is committed. Raises what the thread failed with."""
        self._batches.join()
        self.raise_failure()

    def raise_failure(self) -> None:
        """Raises what the thread failed with, if it did."""
        if self._failure is not None:
            raise self._failure

    def close(self) -> None:
        """Ends the thread after what was put, and closes the connection; what failed has been rolled back."""
        self._batches.put(_STOP)
        self._thread.join()
        self._connection.close()

    def _run(self) -> None:
        while True:
            batch = self._batches.get()
            try:
                if batch is _STOP:
                    return
                if self._failure is None:  # after a failure nothing behind it may be applied
                    self._write(batch)
            except BaseException as exc:  # handed to the reading half, which decides
                self._failure = exc
            finally:
                self._batches.task_done()

    def _write(self, batch: Sequence[TopicBatch]) -> None:
        moved: dict[PartitionId, Owned] = {}
        outcomes = []
        began = time.perf_counter()
        with self._connection.transaction():
            for part in batch:
                part.trace.step("taken by the writer")
                owned, outcome = self._apply(part)
                moved |= {(part.topic, one.partition): one for one in owned}
                outcomes.append(outcome)
                part.trace.step("applied")
            failpoint("materializer.committing")
            applied = time.perf_counter()
        failpoint("materializer.committed")
        self._owned.update(moved)
        self.tally.spend("apply", applied - began)
        self.tally.spend("commit", time.perf_counter() - applied)
        now_ms = time.time() * 1000
        for part in batch:
            part.trace.step("committed")
        self.tally.commit([_aged(part, one, now_ms) for part, one in zip(batch, outcomes, strict=True)])

    def _apply(self, part: TopicBatch) -> tuple[tuple[Owned, ...], Outcome]:
        owned = advance(self._connection, self._moves(part))
        failpoint("materializer.advanced")
        refused = {self._place(part, one.row): one for one in part.refused}
        duplicates: frozenset[LogPlace] = frozenset()
        count_applied = found = 0
        if part.encoded is not None:
            applied = apply(self._connection, part.record_type, part.encoded)
            failpoint("materializer.applied")
            duplicates = applied.duplicates
            rows = self._rows(part) if applied.refused else {}
            refused |= {place: Refused(row=rows[place], reason=why) for place, why in applied.refused.items()}
            count_applied = applied.applied
            passed_by = {*duplicates, *applied.refused}
            found = put_findings(self._connection, part.record_type, part.doubts, without=passed_by)
            follow_events(self._connection, part.record_type, part.encoded.references)
        count(self._connection, part.record_type.id, part.events, duplicates)
        if refused:
            put_aside(
                self._connection,
                view=part.record_type.id,
                topic=part.topic,
                events=[_put_aside(part.arrived, one) for one in refused.values()],
            )
        outcome = Outcome(
            record_type=part.record_type.id,
            events=len(part.arrived.values),
            applied=count_applied,
            duplicates=len(duplicates),
            quarantined=len(refused),
            findings=found,
        )
        return owned, outcome

    def _moves(self, part: TopicBatch) -> list[Move]:
        known = _last_known(part.arrived)
        moves = []
        for partition, position in sorted(part.reads_to.items()):
            owned = self._owned.get((part.topic, partition))
            if owned is None:
                raise FencedError(f"partition {partition} of topic '{part.topic}' is not ours")
            moves.append(Move(owned=owned, next_position=position, known_at=known.get(partition)))
        return moves

    def _place(self, part: TopicBatch, row: int) -> LogPlace:
        return part.arrived.partitions[row], part.arrived.positions[row]

    def _rows(self, part: TopicBatch) -> dict[LogPlace, int]:
        return {self._place(part, row): row for row in range(len(part.arrived.values))}


def _aged(part: TopicBatch, outcome: Outcome, now_ms: float) -> Outcome:
    oldest_ms = min(part.arrived.known_at_ms, default=None)
    return outcome if oldest_ms is None else replace(outcome, age_s=max(now_ms - oldest_ms, 0) / 1000)


def _last_known(arrived: Arrived) -> dict[int, datetime]:
    last = dict(zip(arrived.partitions, arrived.known_at_ms, strict=True))
    return {partition: _instant(known_at_ms) for partition, known_at_ms in last.items()}


def _put_aside(arrived: Arrived, refused: Refused) -> PutAside:
    row = refused.row
    return PutAside(
        partition=arrived.partitions[row],
        position=arrived.positions[row],
        reason=Reason(refused.reason),
        detail=refused.detail,
        known_at=_instant(arrived.known_at_ms[row]),
        key=arrived.keys[row],
        value=arrived.values[row],
        headers=arrived.headers(row),
    )


def _instant(known_at_ms: int) -> datetime:
    return datetime.fromtimestamp(known_at_ms / 1000, UTC)
