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
from producers.sync.state import SyncState
from producers.sync.telling import EVENTS_TOGETHER_MAX, Events, RowTeller, kinds_of

GONE_ROWS_MIN = 100  # fewer than these may always go
KEYS_TOGETHER = 5_000
_NEVER = b"never"  # in the place of a digest: the row was never seen


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
    digests: Digests
    teller: RowTeller
    desk: LookingDesk
    noticed_at: datetime
    on_refused: Callable[[RefusedRow], None]
    _seen: set[bytes] = field(default_factory=set)
    _told: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.outcome = Outcome(kind=self.kind)
        self._has_learnt = self.state.has_learnt()
        self._before = self.state.all_digests() if self.kind is RoundKind.FULL else {}

    def expect(self, rows: int) -> None:
        """Says how many rows there are to read."""
        self.outcome = replace(self.outcome, expected=rows)

    def contest(self, repeated: Sequence[Sequence[Any]]) -> None:
        """Says which keys several rows have: none of those rows is told, and none is gone."""
        if repeated:
            rows = columns_of(self.reader.key, repeated)
            keys = self.digests.keys(self.reader.key_texts(rows)).drop_nulls()
            self._seen.update(keys)
            for key in keys:
                self._before.pop(key, None)

    def take(self, rows: pl.DataFrame) -> None:
        """Compares rows with what is known of them, and tells what is new."""
        self.outcome = replace(self.outcome, rows=self.outcome.rows + rows.height)
        rows, keys, before = self._with_keys(rows)
        if not rows.height:
            return
        mapped = self.reader.read(rows, noticed_at=self.noticed_at)
        self._refuse(rows, mapped.refused)
        places = mapped.rows
        said = [before[place] for place in places]
        digests = self.digests.rows(mapped.changes.drop(self.reader.noticed_fields))
        is_new = pl.Series([one is _NEVER for one in said], dtype=pl.Boolean)
        is_changed = digests.ne_missing(pl.Series(said, dtype=pl.Binary)) & ~is_new
        is_same = ~(is_new | is_changed)
        self.outcome = replace(self.outcome, same=self.outcome.same + int(is_same.sum()))
        if not is_same.all():
            facts = self.teller.identified(mapped.changes, noticed_at=self.noticed_at)
            compared = Compared(facts=facts, keys=keys.gather(places), digests=digests, places=places)
            self._tell_new(rows, compared.filter(is_new))
            self._tell_changed(rows, compared.filter(is_changed))

    def part(self, meaning: Gone, *, share_max: float, accepted: Accepted) -> None:
        """Tells of the rows that were not seen. Raises MustDecideError when they are suspiciously many."""
        gone = [key for key, digest in self._before.items() if digest is not None]
        self.outcome = replace(self.outcome, gone=len(gone))
        known = len(gone) + self.outcome.rows
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

    def _with_keys(self, rows: pl.DataFrame) -> tuple[pl.DataFrame, pl.Series, list[bytes | None]]:
        """The rows that have a key of their own, with it and with what is known of them; the others are refused."""
        keys = self.digests.keys(self.reader.key_texts(rows))
        listed = keys.to_list()
        faults: list[tuple[int, str]] = []
        if keys.null_count() or self._seen or not self.reader.is_key_unique:
            for place, key in enumerate(listed):
                if key is None:
                    faults.append((place, KEY_IS_NULL))
                elif key in self._seen:
                    faults.append((place, KEY_IS_REPEATED))
                else:
                    self._seen.add(key)
        if faults:
            for place, rule in faults:
                empty = [one for one in self.reader.key if rows.item(place, one) is None]
                self._tell_refused(rows, place, [*empty, *self.reader.key][0], str(Reason.INVALID_FIELD), rule)
            is_good = pl.Series([True] * rows.height).scatter([place for place, _ in faults], False)
            rows, keys = rows.filter(is_good), keys.filter(is_good)
            listed = keys.to_list()
        if self.kind is RoundKind.FULL:
            return rows, keys, [self._before.pop(key, _NEVER) for key in listed]
        found = self.state.digests(listed)
        return rows, keys, [found.get(key, _NEVER) for key in listed]

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

    def _tell_changed(self, rows: pl.DataFrame, changed: Compared) -> None:
        """Tells of rows that say something else than before, those that may be told."""
        if not changed.keys.len():
            return
        looked = self.desk.publish_columns(changed.facts)
        self._refuse(rows, looked.refused, changed.places)
        good = changed.filter(pl.Series([True] * changed.keys.len()).scatter(looked.refused[ROW], False))
        states = self.state.rows(good.keys.to_list())
        for events in self.teller.changed(good.facts, good.digests.to_list(), states):
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
        key = ", ".join(
            "" if rows.item(row, name) is None else str(rows.item(row, name)) for name in self.reader.shown_key
        )
        self.outcome = replace(self.outcome, refused=self.outcome.refused + 1)
        self.on_refused(RefusedRow(key=key, column=column, value_class=value_class(value), reason=reason, rule=rule))


_NOTHING_REFUSED = pl.DataFrame(schema=REFUSED_COLUMNS)
assert EVENTS_TOGETHER_MAX < ROWS_TOGETHER
