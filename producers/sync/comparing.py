"""The comparison of one round: each row with what is known of it, in columns; and what is told of the differences."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import polars as pl

from bus.reasons import Reason
from producers.desk import REFUSED_COLUMNS, ROW
from producers.errors import MustDecideError
from producers.file_publishing import LookingDesk
from producers.publisher import ROWS_TOGETHER, Publisher
from producers.reading import value_class
from producers.sync.cells import columns_of
from producers.sync.digests import Digests
from producers.sync.mapping import Gone
from producers.sync.outcome import KEY_IS_NULL, KEY_IS_REPEATED, Accepted, Outcome, RefusedRow, RoundKind
from producers.sync.reading import TableReader
from producers.sync.state import RowState, SyncState
from producers.sync.telling import EVENTS_TOGETHER_MAX, Events, RowTeller, kinds_of

GONE_ROWS_MIN = 100  # fewer than these may always go
KEYS_TOGETHER = 5_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """Rows as facts, each with its key, the digest of what it says, and its place in what was read."""

    facts: pl.DataFrame
    keys: pl.Series
    digests: pl.Series
    places: pl.Series

    def filter(self, mask: pl.Series) -> "Compared":
        """Some of the rows."""
        return Compared(
            facts=self.facts.filter(mask),
            keys=self.keys.filter(mask),
            digests=self.digests.filter(mask),
            places=self.places.filter(mask),
        )


@dataclass(kw_only=True)
class Comparing:
    """One round on its way; `outcome` says what became of it so far."""

    kind: RoundKind
    publisher: Publisher
    state: SyncState
    reader: TableReader
    key: Sequence[str]
    digests: Digests
    teller: RowTeller
    desk: LookingDesk
    noticed_at: datetime
    on_refused: Callable[[RefusedRow], None]
    _seen: set[bytes] = field(default_factory=set)
    _contested: frozenset[bytes] = frozenset()
    _told: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.outcome = Outcome(kind=self.kind)
        self._has_learnt = self.state.has_learnt()

    def expect(self, rows: int) -> None:
        """Says how many rows there are to read."""
        self.outcome = replace(self.outcome, expected=rows)

    def contest(self, repeated: Sequence[Sequence[Any]]) -> None:
        """Says which keys several rows have: none of those rows is told."""
        if repeated:
            keys = self.digests.keys(columns_of(self.key, repeated), self.key).drop_nulls()
            self._contested = frozenset(keys)
            self._seen |= self._contested  # they are there, whichever is meant

    def take(self, rows: pl.DataFrame) -> None:
        """Compares rows with what is known of them, and tells what is new."""
        read = rows.height
        rows, keys = self._with_keys(rows)
        mapped = self.reader.read(rows, noticed_at=self.noticed_at)
        self._refuse(rows, mapped.refused)
        keys = keys.gather(mapped.rows)
        digests = self.digests.rows(mapped.changes)
        known = {state.key: state for state in self.state.rows(keys.to_list())}
        states = [known.get(key) for key in keys]
        is_new = pl.Series([one is None for one in states], dtype=pl.Boolean)
        before = pl.Series([None if one is None else one.digest for one in states], dtype=pl.Binary)
        is_changed = ~is_new & digests.ne_missing(before)
        self.outcome = replace(
            self.outcome,
            rows=self.outcome.rows + read,
            same=self.outcome.same + keys.len() - int(is_new.sum()) - int(is_changed.sum()),
        )
        if is_new.any() or is_changed.any():
            facts = self.teller.identified(mapped.changes, noticed_at=self.noticed_at)
            compared = Compared(facts=facts, keys=keys, digests=digests, places=mapped.rows)
            self._tell_new(rows, compared.filter(is_new))
            changed = [one for one, is_so in zip(states, is_changed, strict=True) if is_so and one is not None]
            self._tell_changed(rows, compared.filter(is_changed), changed)

    def part(self, meaning: Gone, *, share_max: float, accepted: Accepted) -> None:
        """Tells of the rows that were not seen. Raises MustDecideError when they are suspiciously many."""
        gone = [key for keys in self.state.present_keys() for key in keys if key not in self._seen]
        self.outcome = replace(self.outcome, gone=len(gone))
        known = len(gone) + len(self._seen)
        if meaning is Gone.KEPT:
            return
        if len(gone) >= GONE_ROWS_MIN and len(gone) > known * share_max and not accepted.gone:
            raise MustDecideError(
                f"{len(gone):,} of {known:,} rows are gone from the table, and nothing was told of them",
                remedy="look whether it was emptied or half restored; if they are gone, run once with --accept-gone",
            )
        for start in range(0, len(gone), KEYS_TOGETHER):
            states = self.state.rows(gone[start : start + KEYS_TOGETHER])
            for events in self.teller.gone(states, meaning=meaning, noticed_at=self.noticed_at):
                self._publish(events)

    def _with_keys(self, rows: pl.DataFrame) -> tuple[pl.DataFrame, pl.Series]:
        """The rows that have a key of their own, with it; the others are refused."""
        keys = self.digests.keys(rows, self.key)
        faults: list[tuple[int, str]] = []
        for place, key in enumerate(keys):
            if key is None:
                faults.append((place, KEY_IS_NULL))
            elif key in self._seen:
                faults.append((place, KEY_IS_REPEATED))
            else:
                self._seen.add(key)
        if not faults:
            return rows, keys
        for place, rule in faults:
            names = self.key if rule is KEY_IS_REPEATED else [one for one in self.key if rows.item(place, one) is None]
            self._tell_refused(rows, place, names[0], str(Reason.INVALID_FIELD), rule)
        is_good = pl.Series([True] * rows.height).scatter([place for place, _ in faults], False)
        return rows.filter(is_good), keys.filter(is_good)

    def _tell_new(self, rows: pl.DataFrame, new: Compared) -> None:
        """Tells of rows that were never seen; the log may know them, when an earlier state was lost."""
        if not new.keys.len():
            return
        events = self.teller.new(new.facts, new.keys.to_list(), new.digests.to_list())
        if self._has_learnt:
            known = set(self.state.known(list(events.rows)))
            self.state.keep([state for event_id, state in events.rows.items() if event_id in known])
            is_known = events.frame["event_id"].is_in(list(known))
            self.outcome = replace(self.outcome, same=self.outcome.same + int(is_known.sum()))
            new = new.filter(~is_known)
            events = replace(events, frame=events.frame.filter(~is_known))
        self._refuse(rows, self._publish(events), new.places)

    def _tell_changed(self, rows: pl.DataFrame, changed: Compared, states: Sequence[RowState]) -> None:
        """Tells of rows that say something else than before, those that may be told."""
        if not states:
            return
        looked = self.desk.publish_columns(changed.facts)
        self._refuse(rows, looked.refused, changed.places)
        is_good = pl.Series([True] * len(states)).scatter(looked.refused[ROW], False)
        good = changed.filter(is_good)
        kept = [state for state, is_so in zip(states, is_good, strict=True) if is_so]
        for events in self.teller.changed(good.facts, good.digests.to_list(), kept):
            self._publish(events)

    def _publish(self, events: Events) -> pl.DataFrame:
        """Promises events and the state of their rows in one step; gives what is refused."""
        assert events.frame.height <= ROWS_TOGETHER, "the publisher promises them as one"
        self.state.cover(events.rows)
        refused = self.publisher.publish_columns(events.frame).refused if events.frame.height else _NOTHING_REFUSED
        self.state.cover({})
        if events.silent:
            self.state.keep(events.silent)
        is_sent = ~pl.int_range(events.frame.height, eager=True).is_in(refused[ROW].implode())
        self._told.update(kinds_of(events.frame.filter(is_sent)))
        self.outcome = replace(self.outcome, told=dict(self._told))
        return refused

    def _refuse(self, rows: pl.DataFrame, refused: pl.DataFrame, places: pl.Series | None = None) -> None:
        """Tells of refused rows, by their places in what was read."""
        for place, name, reason, rule in refused.select(*REFUSED_COLUMNS).iter_rows():
            row = place if places is None else places[place]
            self._tell_refused(rows, row, self.reader.by_field.get(name, name), reason, rule)

    def _tell_refused(self, rows: pl.DataFrame, row: int, column: str, reason: str, rule: str) -> None:
        value = rows.item(row, column) if column in rows.columns else None
        key = ", ".join("" if rows.item(row, name) is None else str(rows.item(row, name)) for name in self.key)
        self.outcome = replace(self.outcome, refused=self.outcome.refused + 1)
        self.on_refused(RefusedRow(key=key, column=column, value_class=value_class(value), reason=reason, rule=rule))


_NOTHING_REFUSED = pl.DataFrame(schema=REFUSED_COLUMNS)
assert EVENTS_TOGETHER_MAX < ROWS_TOGETHER
