"""Publishing files: each part of a file is mapped, checked and published; each row that is refused is told.

A file that is published again publishes nothing twice, and one that was broken off goes on: events have ids made from
what their rows say, and the journal knows which of them it has promised.
"""

import dataclasses
import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import polars as pl

from bus.reasons import Reason
from bus.subject import Pseudonymizer
from producers.desk import ROW
from producers.mapper import Mapper
from producers.mapping import FieldSource
from producers.once import mark_of
from producers.parts import LineFault, Part
from producers.preparation import Preparation
from producers.publisher import ColumnsOutcome, Publisher
from producers.reading import value_class
from registry.composition import event_schema
from registry.contracts import RecordType

EVENT_ID = "event_id"
LINE = "line"  # the field of a line that is no row


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedRow:
    """A row that was not published: where it is, which field is at fault and why; never the value."""

    file: str
    line: int
    field: str
    value_class: str
    reason: str
    rule: str

    @property
    def meaning(self) -> str:
        """What is wrong, in one sentence."""
        return Reason(self.reason).meaning


@dataclass(frozen=True, slots=True, kw_only=True)
class FileOutcome:
    """What became of a file's rows so far; `share` of the file is done, up to 1.

    `restored` national ids came as numbers, and have their leading zeros again; `short` ones are texts that lack them,
    and are refused: a text may lack any digit. `flagged` counts the rows, of those that are not refused, that each rule
    doubts.
    """

    rows: int = 0
    published: int = 0
    repeated: int = 0
    refused: int = 0
    restored: int = 0
    short: int = 0
    share: float = 0.0
    flagged: Mapping[str, int] = dataclasses.field(default_factory=dict)


class Target(Protocol):
    """Where changes in columns go: a publisher, or a desk that only looks."""

    def publish_columns(self, frame: pl.DataFrame) -> ColumnsOutcome:
        """What became of the changes. Raises RefusedError when a whole column is at fault."""


class OncePublisher:
    """Publishes a file's rows once, also those that come with event ids of the agency's own."""

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher

    def publish_columns(self, frame: pl.DataFrame) -> ColumnsOutcome:
        """See Target. An id that was used before for something else refuses its row."""
        if EVENT_ID not in frame.columns or frame[EVENT_ID].null_count():
            return self._publisher.publish_columns(frame)
        return self._publisher.publish_columns_once(frame, _marks(frame))


class LookingDesk:
    """Checks as a publisher does, and sends nothing."""

    def __init__(self, record_type: RecordType, *, source: str, pseudonymizer: Pseudonymizer) -> None:
        self._preparation = Preparation(
            record_type,
            source=source,
            schema_id=0,
            event_schema=event_schema(record_type),
            pseudonymizer=pseudonymizer,
        )
        self._seen: set[bytes] = set()

    def publish_columns(self, frame: pl.DataFrame) -> ColumnsOutcome:
        """See Target: what would be published if nothing of it was before."""
        batch, refused = self._preparation.rows(frame, now=datetime.now(UTC))
        before = len(self._seen)
        self._seen.update(batch.event_ids)
        new = len(self._seen) - before
        repeated = len(batch.event_ids) - new
        return ColumnsOutcome(published=new, repeated=repeated, refused=refused, flagged=batch.flagged)


def publish_file(
    path: Path,
    parts: Iterable[Part],
    mapper: Mapper,
    target: Target,
    *,
    on_refused: Callable[[RefusedRow], None],
    on_progress: Callable[[FileOutcome], None],
) -> FileOutcome:
    """Publishes the rows of one file. Raises UnreadableError, MappingError, and whatever stops the sending."""
    done = FileOutcome()
    for part in parts:
        refused = [_no_row(path, fault) for fault in part.faults]
        told = FileOutcome()
        if part.frame.height:
            told = _published(path, part, mapper, target, refused)
        for row in sorted(refused, key=lambda one: one.line):
            on_refused(row)
        done = FileOutcome(
            rows=done.rows + part.frame.height + len(part.faults),
            published=done.published + told.published,
            repeated=done.repeated + told.repeated,
            refused=done.refused + len(refused),
            restored=done.restored + told.restored,
            short=done.short + told.short,
            share=part.share,
            flagged=Counter(done.flagged) + Counter(told.flagged),
        )
        on_progress(done)
    return done


def _published(path: Path, part: Part, mapper: Mapper, target: Target, refused: list[RefusedRow]) -> FileOutcome:
    """What became of a part's rows; those that are refused are added to the others."""
    mapped = mapper.map(part.frame)
    outcome = target.publish_columns(mapped.changes)
    at_desk = outcome.refused.with_columns(mapped.rows.gather(outcome.refused[ROW]).cast(pl.Int64).alias(ROW))
    both = pl.concat([mapped.refused, at_desk])
    refused += _told(path, part, both, mapper.sources(part.frame.columns))
    ids = both.filter(pl.col("reason") == str(Reason.INVALID_NATIONAL_ID))[ROW]
    return FileOutcome(
        published=outcome.published,
        repeated=outcome.repeated,
        restored=mapped.restored,
        flagged=outcome.flagged,
        short=sum(mapper.lacks_zeros(part.frame, row) for row in ids),
    )


def _marks(frame: pl.DataFrame) -> list[bytes]:
    """What tells a row that comes again from another one under the same event id."""
    return [mark_of(row[EVENT_ID], _said(row)) for row in frame.select(sorted(frame.columns)).iter_rows(named=True)]


def _said(row: Mapping[str, Any]) -> bytes:
    """What a row says, in the same bytes at every reading; a column that says nothing is as none."""
    return json.dumps({name: value for name, value in row.items() if value is not None}, default=str).encode()


def _no_row(path: Path, fault: LineFault) -> RefusedRow:
    return RefusedRow(
        file=path.name,
        line=fault.line,
        field=fault.column or LINE,
        value_class=fault.value_class,
        reason=str(Reason.INVALID_FIELD),
        rule="",
    )


def _told(path: Path, part: Part, refused: pl.DataFrame, sources: Mapping[str, FieldSource]) -> list[RefusedRow]:
    told = []
    for row, field, reason, rule in refused.iter_rows():
        source = sources.get(field)
        column = None if source is None else source.column
        given = "" if column is None else value_class(part.frame.item(row, column))
        told.append(
            RefusedRow(file=path.name, line=part.lines[row], field=field, value_class=given, reason=reason, rule=rule)
        )
    return told
