"""The rounds of a table's sync.

1. `_look`     the table's columns are compared with those of the last round
2. `read`      a snapshot is read in columns, some rows at a time: all of it, or what changed since the mark
3. `_compare`  mapped and keyed, each row is the same as before, new, or changed
4. `_publish`  events and what is known of their rows are promised in one step
5. `part`      after a whole reading: rows that were not seen are gone
6. `_mark`     when the log has everything, the mark moves

A round that is broken off anywhere is begun again by the next one: what was told is known, so nothing is told twice.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import structlog

from bus.subject import Pseudonymizer
from producers.errors import MustDecideError
from producers.file_publishing import LookingDesk
from producers.publisher import Publisher
from producers.subjects import Subjects
from producers.sync.comparing import Comparing
from producers.sync.digests import Digests
from producers.sync.mapping import SyncMapping
from producers.sync.marks import ChangeColumn, Value, restored, stored
from producers.sync.outcome import NOTHING_ACCEPTED, Accepted, Outcome, RefusedRow, RoundKind
from producers.sync.reading import TableReader, table_reader
from producers.sync.state import SyncState
from producers.sync.table import Shape, Snapshot, Table
from producers.sync.telling import RowTeller
from registry.contracts import RecordType

CLOCK_SLACK_S = 2.0  # between two readings of one clock

OnRefused = Callable[[RefusedRow], None]
OnProgress = Callable[[Outcome], None]

log = structlog.get_logger()


class TableSync:
    """Goes rounds over one table."""

    def __init__(
        self, record_type: RecordType, mapping: SyncMapping, *, table: Table, pseudonymizer: Pseudonymizer, place: str
    ) -> None:
        self._record_type = record_type
        self._mapping = mapping
        self._table = table
        self._pseudonymizer = pseudonymizer
        self._place = place
        self._change_column = ChangeColumn.of(mapping)
        source = mapping.source_name
        self._digests = Digests(record_type, source=source, pseudonymizer=pseudonymizer)
        subjects = Subjects(pseudonymizer, record_type=record_type.id)
        self._teller = RowTeller(record_type, digests=self._digests, subjects=subjects, meaning=mapping.row)
        self._desk = LookingDesk(record_type, source=source, pseudonymizer=pseudonymizer)

    def kind_of_next(self, state: SyncState, *, now: datetime) -> RoundKind:
        """A whole reading when none was before, when one is due, and where no column tells of changes."""
        marks = state.marks()
        is_due = "full_at" not in marks or now - datetime.fromisoformat(marks["full_at"]) >= self._mapping.full_every
        return RoundKind.FULL if is_due or marks.get("mark") is None or not self._change_column else RoundKind.CHANGES

    def round(
        self,
        publisher: Publisher,
        state: SyncState,
        kind: RoundKind,
        *,
        accepted: Accepted = NOTHING_ACCEPTED,
        on_refused: OnRefused = lambda _: None,
        on_progress: OnProgress = lambda _: None,
    ) -> Outcome:
        """One round; returns when the log has all of it.

        Raises SourceAwayError, MappingError, MustDecideError, and whatever stops a publisher.
        """
        noticed_at = datetime.now(UTC)
        state.hold(self._digests.check.hex())
        state.settle_rows()
        reader, shape = self._look(state, accepted)
        with self._table.snapshot(reader.columns) as snapshot:
            clock = snapshot.clock()
            comparing = Comparing(
                kind=self._kind_by_clock(kind, state, clock),
                publisher=publisher,
                state=state,
                reader=reader,
                digests=self._digests,
                teller=self._teller,
                desk=self._desk,
                noticed_at=noticed_at,
                on_refused=on_refused,
            )
            mark = self._read(snapshot, comparing, clock, on_progress)
        if comparing.outcome.kind is RoundKind.FULL:
            comparing.part(self._mapping.when_gone, share_max=self._mapping.gone_share_max, accepted=accepted)
        publisher.flush()
        self._mark(state, comparing.outcome.kind, mark, clock=clock, noticed_at=noticed_at)
        state.mark(types={name: shape.types[name] for name in reader.columns})
        state.settle_rows()
        on_progress(comparing.outcome)
        return comparing.outcome

    def _look(self, state: SyncState, accepted: Accepted) -> tuple[TableReader, Shape]:
        shape = self._table.shape()
        reader = table_reader(
            self._record_type, self._mapping, shape, pseudonymizer=self._pseudonymizer, place=self._place
        )
        before: Mapping[str, str] = state.marks().get("types", {})
        changed = [name for name in reader.columns if before.get(name, shape.types[name]) != shape.types[name]]
        if changed and not accepted.columns:
            name = changed[0]
            raise MustDecideError(
                f"the column '{name}' of {self._table.name} was of the type {before[name]} in the last round and is"
                f" {shape.types[name]} now; nothing was sent",
                remedy="look whether the mapping still reads it rightly, then run once with --accept-columns",
            )
        return reader, shape

    def _kind_by_clock(self, kind: RoundKind, state: SyncState, clock: datetime) -> RoundKind:
        """A clock that went back may have dated changes before the mark: then all is read."""
        before = state.marks().get("clock")
        if before is None or (clock - datetime.fromisoformat(before)).total_seconds() > -CLOCK_SLACK_S:
            return kind
        log.warning("clock_went_back", source=self._mapping.source_name, clock=clock.isoformat(), before=before)
        return RoundKind.FULL

    def _read(self, snapshot: Snapshot, comparing: Comparing, clock: datetime, on_progress: OnProgress) -> Value | None:
        """Compares what there is to read; the mark that it shows."""
        column, mark, since = self._change_column, None, None
        if column is not None and comparing.outcome.kind is RoundKind.CHANGES:
            mark = restored(comparing.state.marks().get("mark"))
            assert mark is not None, "a round of changes follows one that left a mark"
            since = (column.name, column.since(mark))
        comparing.expect(snapshot.count(since))
        if not comparing.reader.is_key_unique and comparing.outcome.kind is RoundKind.FULL:
            comparing.contest(snapshot.repeated_keys(comparing.reader.key))
        for rows in snapshot.rows(since):
            if column is not None:
                mark = column.highest(rows, mark, clock=clock)
            comparing.take(rows)
            on_progress(comparing.outcome)
        return mark

    def _mark(
        self, state: SyncState, kind: RoundKind, mark: Value | None, *, clock: datetime, noticed_at: datetime
    ) -> None:
        """Remembers how far the round came."""
        marks: dict[str, Any] = {"mark": stored(mark), "clock": clock.isoformat()}
        if kind is RoundKind.FULL:
            marks["full_at"] = noticed_at.isoformat()
        state.mark(**marks)
