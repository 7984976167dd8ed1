"""The publisher: how an agency's changes become events on the bus. Every on-ramp ends here.

A change is checked, keyed by its person, given the source's next sequence, framed, promised in the journal and sent.
What is refused is refused at the call, with the field's name; what is accepted reaches the log once, or the publisher
says loudly that it cannot.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import islice
from types import TracebackType
from typing import NamedTuple
from uuid import UUID

import polars as pl

from bus.errors import RefusedError
from bus.kafka import KafkaConnection
from bus.reasons import Reason
from bus.subject import Pseudonymizer
from bus.topics import event_subject_name, records_topic
from producers.change import Change
from producers.columns import Draft
from producers.desk import REFUSED_COLUMNS, ROW
from producers.journal import Journal
from producers.meter import DeskMeter
from producers.once import sorted_out
from producers.preparation import Batch, Preparation
from producers.pump import Pump
from producers.sender import Sender
from producers.validation import refused
from registry.client import SchemaRegistry
from registry.composition import event_schema
from registry.contracts import RecordType

DRAFTS_TOGETHER_MAX = 5_000  # changes that share one promise; more is not faster
DRAFTS_BYTES_MAX = 16 << 20
DRAFTS_BETWEEN_POLLS = 500  # so that acknowledgements are taken by the busy thread, not by a second one
LEAVING_S = 2.0  # for what is on its way when a block is left by an error
ROWS_TOGETHER = 10_000  # of a frame: what is checked, encoded and promised as one


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What became of all changes so far; `acknowledged` counts those that the log has."""

    accepted: int
    refused: int
    acknowledged: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnsOutcome:
    """What became of a frame: `published` are new, `repeated` were published before, `refused` names row and field.

    `flagged` counts the rows, of those that are not refused, that each rule doubts.
    """

    published: int
    repeated: int
    refused: pl.DataFrame
    flagged: Mapping[str, int] = field(default_factory=dict)


class Published(NamedTuple):
    """A change that has its event; `is_repeat` when it had it before."""

    event_id: UUID
    is_repeat: bool


class Publisher:
    """Publishes changes to records of one type, as one source. A context manager: leaving it waits for the broker."""

    def __init__(
        self,
        record_type: RecordType,
        *,
        source: str,
        kafka: KafkaConnection,
        registry: SchemaRegistry,
        pseudonymizer: Pseudonymizer,
        journal: Journal,
        on_delivered: Callable[[Sequence[UUID]], None] | None = None,
    ) -> None:
        self._on_delivered = on_delivered
        self._accepted = self._refused = self._acknowledged = 0
        self._meter = DeskMeter(record_type.id)
        self._record_type = record_type.id
        topic = records_topic(record_type.id)
        schema = event_schema(record_type)
        self._preparation = Preparation(
            record_type,
            source=source,
            schema_id=registry.register(event_subject_name(topic), schema),
            event_schema=schema,
            pseudonymizer=pseudonymizer,
        )
        self._drafts: list[Draft] = []
        self._drafts_bytes = 0
        self._journal = journal
        journal.open(source=source, topic=topic)
        self._sender = Sender(
            topic=topic,
            source=source,
            kafka=kafka,
            journal=journal,
            encoder=self._preparation.encoder,
            on_delivered=self._take_delivered,
        )
        try:
            self._sender.recover()
        except BaseException:
            self._shut()
            raise
        self._pump = Pump(self._sender, self._send_drafts, lambda: len(self._drafts))

    @property
    def counts(self) -> Counts:
        """What became of all changes so far."""
        return Counts(accepted=self._accepted, refused=self._refused, acknowledged=self._acknowledged)

    @property
    def is_idle(self) -> bool:
        """Whether the log has all that was accepted."""
        return not self._drafts and self._sender.is_idle

    @property
    def last_sequence(self) -> int:
        """The sequence of the last event that was promised; 0 before the first."""
        return self._journal.next_sequence() - 1

    def publish(self, change: Change) -> UUID:
        """The id of the change's event, which is on its way. Raises RefusedError, and whatever stopped the sending.

        Waits while too much is on its way already.
        """
        try:
            prepared = self._preparation.draft(change)
            if self._preparation.has_refusing_rules:
                for refusal in self._preparation.judged([prepared.draft]).refusals.values():
                    raise refusal
        except RefusedError as exc:
            self._refused += 1
            self._meter.refuse([str(exc.reason)])
            raise
        with self._sender.lock:
            self._drafts.append(prepared.draft)
            self._drafts_bytes += prepared.size
            waiting = len(self._drafts)
            if waiting == DRAFTS_TOGETHER_MAX or self._drafts_bytes >= DRAFTS_BYTES_MAX:
                self._send_drafts()
            elif waiting % DRAFTS_BETWEEN_POLLS == 0:
                self._sender.work()
            elif waiting == 1:
                self._pump.wake()
            self._accepted += 1
        return prepared.event_id

    def publish_all(self, changes: Iterable[Change]) -> list[UUID | RefusedError]:
        """For each change the id of its event, or why it is refused. Raises whatever stopped the sending.

        Far faster than one by one where the contract has rules that refuse.
        """
        results: list[UUID | RefusedError] = []
        waiting = iter(changes)
        while some := list(islice(waiting, DRAFTS_TOGETHER_MAX)):
            told, judged = self._preparation.together(some)
            with self._sender.lock:
                self._send_drafts()
                self._send(self._preparation.batch(judged))
                self._accepted += judged.events.height
                self._refused += len(told) - judged.events.height
            self._meter.refuse(str(one.reason) for one in told if isinstance(one, RefusedError))
            results += told
        self._pump.wake()
        return results

    def publish_columns(self, frame: pl.DataFrame) -> ColumnsOutcome:
        """Publishes the rows of a frame: columns named as in Change, and the body's fields.

        Without a column `event_id`, ids are made from what the rows say: a row that was published before, from this
        source, is not published again. Returns once the good rows are durable. Raises RefusedError when a whole column
        is at fault, and whatever stopped the sending.
        """
        now = datetime.now(UTC)
        published = accepted = 0
        refusals = [pl.DataFrame(schema=REFUSED_COLUMNS)]
        flagged: Counter[str] = Counter()
        for start in range(0, frame.height, ROWS_TOGETHER):
            batch, bad = self._preparation.rows(frame[start : start + ROWS_TOGETHER], now=now)
            refusals.append(bad.with_columns(pl.col(ROW) + start))
            accepted += len(batch.keys)
            flagged.update(batch.flagged)
            with self._sender.lock:
                self._send_drafts()
                published += self._send(batch)
        refused_rows = pl.concat(refusals)
        self._accepted += published
        self._refused += refused_rows.height
        self._meter.refuse(refused_rows["reason"])
        self._pump.wake()
        repeated = accepted - published
        return ColumnsOutcome(published=published, repeated=repeated, refused=refused_rows, flagged=flagged)

    def publish_once(self, frame: pl.DataFrame, marks: Sequence[bytes | None]) -> "list[Published | RefusedError]":
        """Publishes rows that have event ids, and not those that come again; tells of each, as `flush` makes it true.

        A row without a mark is always new. Raises RefusedError when a whole column is at fault, and whatever stopped
        the sending.
        """
        return self._once(frame, marks)[0]

    def publish_columns_once(self, frame: pl.DataFrame, marks: Sequence[bytes | None]) -> ColumnsOutcome:
        """The same, told as of columns. Raises as `publish_once` does."""
        told, flagged = self._once(frame, marks)
        refusals = [(row, one) for row, one in enumerate(told) if isinstance(one, RefusedError)]
        rows = [(row, one.field, str(one.reason), one.rule) for row, one in refusals]
        repeated = sum(not isinstance(one, RefusedError) and one.is_repeat for one in told)
        return ColumnsOutcome(
            published=len(told) - len(refusals) - repeated,
            repeated=repeated,
            refused=pl.DataFrame(rows, schema=REFUSED_COLUMNS, orient="row"),
            flagged=flagged,
        )

    def _once(
        self, frame: pl.DataFrame, marks: Sequence[bytes | None]
    ) -> "tuple[list[Published | RefusedError], Mapping[str, int]]":
        ids: list[bytes] = frame["event_id"].to_list()
        with self._sender.lock:
            self._send_drafts()
            asked = [one for row, mark in enumerate(marks) if mark is not None for one in (ids[row], mark)]
            rows = sorted_out(ids, marks, set(self._journal.known(asked)))
            batch, bad = self._preparation.rows(frame[rows.new], now=datetime.now(UTC))
            refusals = {
                rows.new[row]: refused(Reason(reason), field, record_type=self._record_type, rule=rule)
                for row, field, reason, rule in bad.select(list(REFUSED_COLUMNS)).iter_rows()
            }
            refusals |= {
                row: refused(Reason.EVENT_ID_REUSED, "event_id", record_type=self._record_type) for row in rows.reused
            }
            refusals |= {row: refusals[first] for row, first in rows.repeats.items() if first in refusals}
            remembered = [
                one
                for row in rows.new
                if row not in refusals and (mark := marks[row]) is not None
                for one in (ids[row], mark)
            ]
            self._accepted += self._send(replace(batch, remembered=remembered))
            self._refused += len(refusals)
        self._pump.wake()
        told = [
            refusals.get(row) or Published(UUID(bytes=event_id), row in rows.repeats)
            for row, event_id in enumerate(ids)
        ]
        return told, batch.flagged

    def flush(self) -> None:
        """Returns when the log has every change that was accepted. Raises whatever stopped the sending."""
        self._send_drafts()
        self._sender.wait_until_idle()

    def close(self) -> None:
        """Flushes, and gives the source free. Raises whatever stopped the sending."""
        self._pump.stop()
        try:
            self.flush()
        finally:
            self._shut()

    def __enter__(self) -> "Publisher":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if value is None:
            self.close()
            return
        self._pump.stop()
        try:
            with suppress(Exception):  # the block's own error is the one to tell; the journal keeps what is promised
                self._send_drafts()
                self._sender.wait_until_idle(until=time.monotonic() + LEAVING_S)
        finally:
            self._shut()

    def _shut(self) -> None:
        self._sender.close()
        self._journal.close()

    def _send_drafts(self) -> None:
        """Sends the changes that wait for others to join them."""
        with self._sender.lock, self._sender.failing():
            if self._drafts:
                drafts, self._drafts, self._drafts_bytes = self._drafts, [], 0
                self._send(self._preparation.batch(self._preparation.judged(drafts)))

    def _send(self, batch: Batch) -> int:
        sent = self._sender.send(batch)
        self._meter.accept(sent, batch.flagged)
        return sent

    def _take_delivered(self, event_ids: Sequence[bytes]) -> None:
        self._acknowledged += len(event_ids)
        if self._on_delivered is not None:
            self._on_delivered([UUID(bytes=event_id) for event_id in event_ids])
