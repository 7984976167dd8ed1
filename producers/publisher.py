"""The publisher: how an agency's changes become events on the bus. Every on-ramp ends here.

A change is checked, keyed by its person, given the source's next sequence, framed, promised in the journal and sent.
What is refused is refused at the call, with the field's name; what is accepted reaches the log once, or the publisher
says loudly that it cannot.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType
from uuid import UUID

import polars as pl
import pyarrow.compute as pc

from bus.envelope import EventIdMaker
from bus.errors import RefusedError
from bus.kafka import MESSAGE_BYTES_MAX, KafkaConnection
from bus.reasons import Reason
from bus.subject import Pseudonymizer
from bus.topics import event_subject_name, records_topic
from producers.change import Change
from producers.columns import Draft
from producers.content_ids import ContentIds
from producers.desk import REFUSED_COLUMNS, ROW, Checked, Desk
from producers.encoding import Encoder
from producers.journal import Journal
from producers.pump import Pump
from producers.sender import Batch, Sender
from producers.subjects import Subjects
from producers.validation import Validator, refused
from registry.client import SchemaRegistry
from registry.composition import event_schema
from registry.contracts import RecordType

VALUE_BYTES_MAX = MESSAGE_BYTES_MAX - 1_024  # less the key and the log's own head
DRAFTS_TOGETHER_MAX = 5_000  # changes that share one promise; more is not faster
DRAFTS_BYTES_MAX = 16 << 20
DRAFTS_BETWEEN_POLLS = 500  # so that acknowledgements are taken by the busy thread, not by a second one
LEAVING_S = 2.0  # for what is on its way when a block is left by an error
ROWS_TOGETHER = 10_000  # of a frame: what is checked, encoded and promised as one
STAMP_BYTES_MAX = 64  # frame, id and sequence


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What became of all changes so far; `acknowledged` counts those that the log has."""

    accepted: int
    refused: int
    acknowledged: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnsOutcome:
    """What became of a frame: `published` are new, `repeated` were published before, `refused` names row and field."""

    published: int
    repeated: int
    refused: pl.DataFrame


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
        self._record_type = record_type
        self._subjects = Subjects(pseudonymizer, record_type=record_type.id)
        self._desk = Desk(record_type, self._subjects)
        self._validator = Validator(record_type)
        self._new_id = EventIdMaker()
        self._on_delivered = on_delivered
        self._accepted = self._refused = self._acknowledged = 0
        topic = records_topic(record_type.id)
        schema = event_schema(record_type)
        schema_id = registry.register(event_subject_name(topic), schema)
        self._encoder = Encoder(schema_id, schema, source=source)
        self._content_ids = ContentIds(record_type, source=source)
        self._value_bytes_max = VALUE_BYTES_MAX - STAMP_BYTES_MAX - len(source.encode())
        self._drafts: list[Draft] = []
        self._drafts_bytes = 0
        self._journal = journal
        journal.open(source=source, topic=topic)
        self._sender = Sender(
            topic=topic,
            source=source,
            kafka=kafka,
            journal=journal,
            encoder=self._encoder,
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

    def publish(self, change: Change) -> UUID:
        """The id of the change's event, which is on its way. Raises RefusedError, and whatever stopped the sending.

        Waits while too much is on its way already.
        """
        try:
            draft, size = self._checked(change)
            if self._desk.has_refusing_rules:
                for refusal in self._broken_rules([draft]).values():
                    raise refusal
        except RefusedError:
            self._refused += 1
            raise
        with self._sender.lock:
            self._drafts.append(draft)
            self._drafts_bytes += size
            waiting = len(self._drafts)
            if waiting == DRAFTS_TOGETHER_MAX or self._drafts_bytes >= DRAFTS_BYTES_MAX:
                self._send_drafts()
            elif waiting % DRAFTS_BETWEEN_POLLS == 0:
                self._sender.work()
            elif waiting == 1:
                self._pump.wake()
            self._accepted += 1
        return UUID(bytes=draft.event_id)

    def publish_all(self, changes: Iterable[Change]) -> list[UUID | RefusedError]:
        """For each change the id of its event, or why it is refused. Raises whatever stopped the sending.

        Far faster than one by one where the contract has rules that refuse.
        """
        results: list[UUID | RefusedError] = []
        drafts: list[Draft] = []
        places: list[int] = []
        for change in changes:
            try:
                draft, _ = self._checked(change)
            except RefusedError as exc:
                results.append(exc)
                continue
            places.append(len(results))
            results.append(UUID(bytes=draft.event_id))
            drafts.append(draft)
        broken = self._broken_rules(drafts)
        for row, refusal in broken.items():
            results[places[row]] = refusal
        kept = [draft for row, draft in enumerate(drafts) if row not in broken]
        with self._sender.lock:
            self._send_drafts()
            for start in range(0, len(kept), DRAFTS_TOGETHER_MAX):
                self._sender.send(self._batch_of(kept[start : start + DRAFTS_TOGETHER_MAX]))
            self._accepted += len(kept)
            self._refused += len(results) - len(kept)
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
        for start in range(0, frame.height, ROWS_TOGETHER):
            batch, bad = self._checked_rows(frame[start : start + ROWS_TOGETHER], now)
            refusals.append(bad.with_columns(pl.col(ROW) + start))
            accepted += len(batch.keys)
            with self._sender.lock:
                self._send_drafts()
                published += self._sender.send(batch)
        refused_rows = pl.concat(refusals)
        self._accepted += published
        self._refused += refused_rows.height
        self._pump.wake()
        return ColumnsOutcome(published=published, repeated=accepted - published, refused=refused_rows)

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
                self._sender.send(self._batch_of(drafts))

    def _checked(self, change: Change) -> tuple[Draft, int]:
        """The change as a draft, and a bound of its size in bytes. Raises RefusedError."""
        subject = self._subjects.of(change.national_id)
        size = self._validator.check(change, now=datetime.now(UTC))
        event_id = (change.event_id or self._new_id()).bytes
        draft = Draft(change, subject, event_id)
        if size > self._value_bytes_max:
            exact = len(self._encoder.contents(self._desk.layout.of([draft]))[0].as_py())
            if exact > self._value_bytes_max:
                raise refused(Reason.OVERSIZED, "body", record_type=self._record_type.id)
        return draft, size

    def _broken_rules(self, drafts: Sequence[Draft]) -> dict[int, RefusedError]:
        """Which of the drafts break a quality rule that refuses."""
        if not drafts or not self._desk.has_refusing_rules:
            return {}
        broken = self._desk.broken_rules(self._desk.layout.of(drafts).with_row_index(ROW))
        return {
            row: refused(Reason(reason), field, record_type=self._record_type.id, rule=rule)
            for row, field, reason, rule in broken.select(*REFUSED_COLUMNS).iter_rows()
        }

    def _checked_rows(self, rows: pl.DataFrame, now: datetime) -> tuple[Batch, pl.DataFrame]:
        """The good rows encoded, and the refused ones."""
        checked = self._desk.check(rows, now=now)
        events = checked.events
        contents = self._encoder.contents(self._desk.flagged(events))
        is_too_large = pl.Series(pc.greater(pc.binary_length(contents), self._value_bytes_max))
        if is_too_large.any():
            large = events.filter(is_too_large).select(
                pl.col(ROW).cast(pl.Int64),
                pl.lit("body").alias("field"),
                pl.lit(str(Reason.OVERSIZED)).alias("reason"),
                pl.lit("").alias("rule"),
            )
            contents = contents.filter((~is_too_large).to_arrow())
            events = events.filter(~is_too_large)
            checked = Checked(events=events, refused=pl.concat([checked.refused, large]).sort(ROW))
        is_remembered = "event_id" not in rows.columns
        event_ids = (
            self._content_ids.of(events, has_recorded_at="recorded_at" in rows.columns)
            if is_remembered
            else [given or self._new_id().bytes for given in events["event_id"].to_list()]
        )
        batch = Batch(
            keys=events["subject"].to_list(), event_ids=event_ids, contents=contents, is_remembered=is_remembered
        )
        return batch, checked.refused

    def _batch_of(self, drafts: Sequence[Draft]) -> Batch:
        contents = self._encoder.contents(self._desk.flagged(self._desk.layout.of(drafts)))
        return Batch(
            keys=[draft.subject for draft in drafts],
            event_ids=[draft.event_id for draft in drafts],
            contents=contents,
            is_remembered=False,
        )

    def _take_delivered(self, event_ids: Sequence[bytes]) -> None:
        self._acknowledged += len(event_ids)
        if self._on_delivered is not None:
            self._on_delivered([UUID(bytes=event_id) for event_id in event_ids])
