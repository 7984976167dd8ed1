"""Preparation: from what an agency says to events that only want a sequence. The part of the way without any I/O."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, NamedTuple
from uuid import UUID

import polars as pl
import pyarrow.compute as pc

from bus.envelope import EventIdMaker
from bus.errors import RefusedError
from bus.kafka import MESSAGE_BYTES_MAX
from bus.reasons import Reason
from bus.subject import Pseudonymizer
from producers.change import Change
from producers.columns import Draft
from producers.content_ids import ContentIds
from producers.desk import ROW, Checked, Desk
from producers.encoding import Encoder
from producers.handful import Handful
from producers.subjects import Subjects
from producers.validation import Validator, refused
from registry.contracts import RecordType

VALUE_BYTES_MAX = MESSAGE_BYTES_MAX - 1_024  # less the key and the log's own head
STAMP_BYTES_MAX = 64  # frame, id and sequence


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Events that are encoded but for what they get as they are sent.

    `is_remembered`: their ids are made from content, and what was published before is left out. `remembered` is what
    the journal is to remember with them beside that. `flagged` counts those that each rule doubts.
    """

    keys: Sequence[bytes]
    event_ids: Sequence[bytes]
    contents: Any  # a pyarrow array of bytes
    is_remembered: bool = False
    remembered: Sequence[bytes] = ()
    flagged: Mapping[str, int] = field(default_factory=dict)


class Prepared(NamedTuple):
    """A draft with its event's id and a bound of its size in bytes."""

    draft: Draft
    event_id: UUID
    size: int


class Judged(NamedTuple):
    """The events that break no rule that refuses, with what is doubted, and the refusals of the others by their row."""

    events: pl.DataFrame
    refusals: Mapping[int, RefusedError]
    flagged: Mapping[str, int]


class Preparation:
    """Checks, keys and encodes changes to records of one type for one source."""

    def __init__(
        self,
        record_type: RecordType,
        *,
        source: str,
        schema_id: int,
        event_schema: Mapping[str, Any],
        pseudonymizer: Pseudonymizer,
    ) -> None:
        self.encoder = Encoder(schema_id, event_schema, source=source)
        self._record_type = record_type
        self._subjects = Subjects(pseudonymizer, record_type=record_type.id)
        self._desk = Desk(record_type, self._subjects)
        self._validator = Validator(record_type)
        self._handful = Handful(self._desk, self._validator, self._subjects)
        self._content_ids = ContentIds(record_type, source=source)
        self._new_id = EventIdMaker()
        self._content_bytes_max = VALUE_BYTES_MAX - STAMP_BYTES_MAX - len(source.encode())

    @property
    def has_refusing_rules(self) -> bool:
        """Whether the contract has quality rules that refuse."""
        return self._desk.has_refusing_rules

    def draft(self, change: Change) -> Prepared:
        """The change as a draft; its quality rules are asked later, with others. Raises RefusedError."""
        subject = self._subjects.of(change.national_id)
        size = self._validator.check(change, now=datetime.now(UTC))
        event_id = change.event_id or self._new_id()
        draft = Draft(change, subject, event_id.bytes)
        if size > self._content_bytes_max:
            exact = len(self.encoder.contents(self._desk.layout.of([draft]))[0].as_py())
            if exact > self._content_bytes_max:
                raise refused(Reason.OVERSIZED, "body", record_type=self._record_type.id)
        return Prepared(draft, event_id, size)

    def judged(self, drafts: Sequence[Draft]) -> Judged:
        """The events of drafts by the quality rules."""
        judged = self._desk.judge(self._desk.layout.of(drafts).with_row_index(ROW))
        refusals = {
            row: refused(Reason(reason), field, record_type=self._record_type.id, rule=rule)
            for row, field, reason, rule in judged.refused.iter_rows()
        }
        return Judged(judged.events, refusals, judged.flagged)

    def together(self, changes: Sequence[Change]) -> tuple[list[UUID | RefusedError], Judged]:
        """For each change its event's id or its refusal; and what the quality rules leave to be sent."""
        results: list[UUID | RefusedError] = []
        drafts: list[Draft] = []
        places: list[int] = []
        for change in changes:
            try:
                prepared = self.draft(change)
            except RefusedError as exc:
                results.append(exc)
                continue
            places.append(len(results))
            results.append(prepared.event_id)
            drafts.append(prepared.draft)
        judged = self.judged(drafts)
        for row, refusal in judged.refusals.items():
            results[places[row]] = refusal
        return results, judged

    def batch(self, judged: Judged) -> Batch:
        """The events encoded, under the ids that they have."""
        events = judged.events
        return Batch(
            keys=events["subject"].to_list(),
            event_ids=events["event_id"].to_list(),
            contents=self.encoder.contents(events),
            flagged=judged.flagged,
        )

    def rows(self, frame: pl.DataFrame, *, now: datetime) -> tuple[Batch, pl.DataFrame]:
        """The good rows of a frame encoded, and the refused ones. Raises RefusedError for a column that is at fault."""
        desk = self._handful if self._handful.takes(frame) else self._desk
        checked = desk.check(frame, now=now)
        contents = self.encoder.contents(checked.events)
        is_small = pc.less_equal(pc.binary_length(contents), self._content_bytes_max)
        if not pc.all(is_small).as_py():
            checked = _without_oversized(checked, pl.Series(is_small))
            contents = contents.filter(is_small)
        events = checked.events
        is_remembered = "event_id" not in frame.columns
        if is_remembered:
            event_ids = self._content_ids.of(events, has_recorded_at="recorded_at" in frame.columns)
        else:
            event_ids = [given or self._new_id().bytes for given in events["event_id"].to_list()]
        keys = events["subject"].to_list()
        batch = Batch(
            keys=keys, event_ids=event_ids, contents=contents, is_remembered=is_remembered, flagged=checked.flagged
        )
        return batch, checked.refused


def _without_oversized(checked: Checked, is_small: pl.Series) -> Checked:
    large = checked.events.filter(~is_small).select(
        pl.col(ROW).cast(pl.Int64),
        pl.lit("body").alias("field"),
        pl.lit(str(Reason.OVERSIZED)).alias("reason"),
        pl.lit("").alias("rule"),
    )
    return replace(
        checked, events=checked.events.filter(is_small), refused=pl.concat([checked.refused, large]).sort(ROW)
    )
