"""The capture of a change topic.

1. `waves`    messages are read as changes, and changes that can be told together are
2. `_fresh`   what the connector sends again, as it does after a crash, is left out
3. `_tell`    rows are compared with what is known of them, as in a sync; events and rows are promised in one step
4. `_reach`   how far the topic was read is remembered

A process that dies after a wave's third step begins that wave anew: each of its rows is as it is known, and nothing is
told again. So nothing is lost or doubled anywhere.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

import polars as pl

from bus.failpoints import failpoint
from bus.reasons import Reason
from bus.subject import Pseudonymizer
from producers.capture.envelopes import Envelopes, RowChange
from producers.capture.rows import CapturedRows
from producers.capture.state import CaptureState
from producers.capture.topic import ChangeTopic
from producers.capture.waves import Wave, waves
from producers.desk import REFUSED_COLUMNS, ROW
from producers.errors import MustDecideError
from producers.file_publishing import LookingDesk
from producers.publisher import Publisher
from producers.reading import value_class
from producers.subjects import Subjects
from producers.sync.digests import Digests
from producers.sync.mapping import Gone, SyncMapping
from producers.sync.outcome import KEY_IS_NULL, NOTHING_ACCEPTED, Accepted, Outcome, RefusedRow, RoundKind
from producers.sync.telling import Events, RowTeller, kinds_of
from registry.client import SchemaRegistry
from registry.contracts import RecordType

ROWS_ASKED = 1_000  # each may have several events, and a publisher promises a few thousand as one

OnRefused = Callable[[RefusedRow], None]
OnProgress = Callable[[Outcome], None]


def source_of(mapping: SyncMapping) -> str:
    """The stream at the agency: another one than a sync's, whose rows are known by other keys."""
    return mapping.source or f"{mapping.record_type}/capture"


class Capture:
    """Tells of one topic's changes to one publisher, whose journal is the state."""

    def __init__(
        self,
        record_type: RecordType,
        mapping: SyncMapping,
        *,
        publisher: Publisher,
        state: CaptureState,
        registry: SchemaRegistry,
        pseudonymizer: Pseudonymizer,
        place: str,
        accepted: Accepted = NOTHING_ACCEPTED,
        on_refused: OnRefused = lambda _: None,
    ) -> None:
        source = source_of(mapping)
        self._mapping = mapping
        self._publisher = publisher
        self._state = state
        self._envelopes = Envelopes(registry)
        self._digests = Digests(record_type, source=source, pseudonymizer=pseudonymizer)
        subjects = Subjects(pseudonymizer, record_type=record_type.id)
        self._teller = RowTeller(record_type, digests=self._digests, subjects=subjects, meaning=mapping.row)
        self._desk = LookingDesk(record_type, source=source, pseudonymizer=pseudonymizer)
        self._rows = CapturedRows(record_type, mapping, pseudonymizer=pseudonymizer, place=place)
        self._accepted = accepted
        self._on_refused = on_refused
        self._positions: dict[int, int] = {}
        self._committed: dict[int, datetime] = {}
        self._told: Counter[str] = Counter()
        self.outcome = Outcome(kind=RoundKind.CHANGES)

    def begin(self, topic: ChangeTopic) -> dict[int, int]:
        """Begins where the topic was left. Raises WrongJournalError, MustDecideError, TopicMissingError, BusError."""
        self._state.hold(f"capture {self._digests.check.hex()}")  # a sync knows rows by other keys
        self._state.settle_rows()
        self._state.hold_topic(topic.name, topic.topic_id())
        self._positions = topic.start(self._state.topic_positions())
        self._committed = self._state.committed()
        self._has_learnt = self._state.has_learnt()
        return dict(self._positions)

    def take(self, topic: ChangeTopic, *, on_progress: OnProgress = lambda _: None) -> bool:
        """Tells of what has come, and whether anything had.

        Raises UnreadableError, MappingError, MustDecideError, and whatever stops a publisher.
        """
        messages = topic.read()
        for wave in waves(messages, self._envelopes, key=self._mapping.key):
            fresh = self._fresh(wave)
            types = self._tell(wave, fresh) if fresh else None
            failpoint("capture_told")
            self._reach(wave, types)
            on_progress(self.outcome)
        return bool(messages)

    def is_past(self, ends: Mapping[int, int]) -> bool:
        """Whether the topic was read up to given positions."""
        return all(self._positions.get(partition, 0) >= end for partition, end in ends.items())

    @property
    def complete_until(self) -> datetime | None:
        """All that the agency's database committed before then was read; what the connector still has is not known."""
        return min(self._committed.values(), default=None)

    def _fresh(self, wave: Wave) -> list[RowChange]:
        """Changes that did not come before."""
        came = self._state.came([one.identity for one in wave.changes if one.identity is not None])
        fresh = [one for one in wave.changes if one.identity is None or one.identity not in came]
        skipped = len(wave.changes) - len(fresh)
        self.outcome = replace(
            self.outcome, rows=self.outcome.rows + len(wave.changes), same=self.outcome.same + skipped
        )
        return fresh

    def _reach(self, wave: Wave, types: Mapping[str, str] | None) -> None:
        self._positions |= wave.positions
        identities = [one.identity for one in wave.changes if one.identity is not None]
        self._committed |= wave.committed
        self._state.reach(self._positions, self._committed, identities, types)

    def _tell(self, wave: Wave, changes: Sequence[RowChange]) -> Mapping[str, str] | None:
        """Tells of changes; gives the types of the columns that they were read from."""
        first = changes[0]
        if first.is_truncation:
            self._truncated(first.at)
            return None
        gone = [one for one in changes if one.is_gone]
        there = [one for one in changes if not one.is_gone]
        if gone:
            keys = self._rows.keys(gone, wave.key)
            self._gone({key: one.at for key, one in zip(keys, gone, strict=True) if key is not None})
        types = self._there(there, wave.key) if there else None
        self._state.settle_rows()
        return types

    def _there(self, changes: Sequence[RowChange], key: tuple[str, ...]) -> Mapping[str, str]:
        types = self._rows.types(changes[0], key, before=self._state.column_types(), accepted=self._accepted)
        changes, listed = self._with_keys(changes, key)
        if not changes:
            return types
        rows = self._rows.frame(changes)
        mapped = self._rows.mapped(rows)
        self._refuse(rows, key, mapped.refused, None)
        keys = pl.Series(listed, dtype=pl.Binary).gather(mapped.rows)
        digests = self._digests.rows(mapped.changes)
        known = {one.key: one for one in self._state.rows(keys.to_list())}
        states = [known.get(one) for one in keys]
        is_new = pl.Series([one is None for one in states], dtype=pl.Boolean)
        before = pl.Series([None if one is None else one.digest for one in states], dtype=pl.Binary)
        is_changed = ~is_new & digests.ne_missing(before)
        same = len(states) - int(is_new.sum()) - int(is_changed.sum())
        self.outcome = replace(self.outcome, same=self.outcome.same + same)
        facts = self._teller.identified(mapped.changes, noticed_at=datetime.now(UTC))
        looked = self._desk.publish_columns(facts).refused if facts.height else pl.DataFrame(schema=REFUSED_COLUMNS)
        is_good = ~pl.int_range(facts.height, eager=True).is_in(looked[ROW].implode())
        is_meant = is_new | is_changed
        self._refuse(rows, key, looked.filter(pl.col(ROW).is_in(is_meant.arg_true().implode())), mapped.rows)
        new, changed = is_new & is_good, is_changed & is_good
        if new.any():
            self._publish(
                self._teller.new(facts.filter(new), keys.filter(new).to_list(), digests.filter(new).to_list())
            )
        if changed.any():
            kept = [one for one, is_so in zip(states, changed, strict=True) if is_so and one is not None]
            for events in self._teller.changed(facts.filter(changed), digests.filter(changed).to_list(), kept):
                self._publish(events)
        return types

    def _with_keys(self, changes: Sequence[RowChange], key: tuple[str, ...]) -> tuple[Sequence[RowChange], list[bytes]]:
        """The changes that have a key, with it; the others are refused."""
        keyed = list(zip(changes, self._rows.keys(changes, key), strict=True))
        for change in (change for change, its_key in keyed if its_key is None):
            column = next(name for name in key if change.row.get(name) is None)
            said = RefusedRow(
                key="", column=column, value_class="nothing", reason=str(Reason.INVALID_FIELD), rule=KEY_IS_NULL
            )
            self.outcome = replace(self.outcome, refused=self.outcome.refused + 1)
            self._on_refused(said)
        good = [(change, its_key) for change, its_key in keyed if its_key is not None]
        return [change for change, _ in good], [its_key for _, its_key in good]

    def _gone(self, times: Mapping[bytes, datetime]) -> None:
        """Tells of rows that are gone and were known; a row that was refused, or never came, has nothing to end."""
        if self._mapping.when_gone is Gone.KEPT:
            return
        states = [one for one in self._state.rows(list(times)) if one.digest is not None]
        self.outcome = replace(self.outcome, gone=self.outcome.gone + len(states))
        told = [
            events
            for one in states
            for events in self._teller.gone([one], meaning=self._mapping.when_gone, noticed_at=times[one.key])
        ]
        if told:
            self._publish(_joined(told))

    def _truncated(self, at: datetime) -> None:
        keys = self._state.present_keys()
        if not self._accepted.gone:
            raise MustDecideError(
                f"the table was emptied: {len(keys):,} rows are gone, and nothing was told of them",
                remedy="look whether that is so; if they are gone, run once with --accept-gone",
            )
        for start in range(0, len(keys), ROWS_ASKED):
            self._gone(dict.fromkeys(keys[start : start + ROWS_ASKED], at))
            self._state.settle_rows()

    def _publish(self, events: Events) -> None:
        """Promises events and the state of their rows in one step, but those that the log has from an earlier state."""
        frame = events.frame
        if self._has_learnt and frame.height:
            known = set(self._state.known(frame["event_id"].to_list()))
            self._state.keep([row for event_id, row in events.rows.items() if event_id in known])
            frame = frame.filter(~pl.col("event_id").is_in(list(known)))
        self._state.cover(events.rows)
        if frame.height:
            self._publisher.publish_columns(frame)
        self._state.cover({})
        if events.silent:
            self._state.keep(events.silent)
        self._told.update(kinds_of(frame))
        self.outcome = replace(self.outcome, told=dict(self._told))

    def _refuse(self, rows: pl.DataFrame, key: Sequence[str], refused: pl.DataFrame, places: pl.Series | None) -> None:
        for place, name, reason, rule in refused.select(*REFUSED_COLUMNS).iter_rows():
            row = place if places is None else places[place]
            column = self._rows.column_of(name)
            value = rows.item(row, column) if column in rows.columns else None
            said = ", ".join("" if rows.item(row, one) is None else str(rows.item(row, one)) for one in key)
            self.outcome = replace(self.outcome, refused=self.outcome.refused + 1)
            self._on_refused(
                RefusedRow(key=said, column=column, value_class=value_class(value), reason=reason, rule=rule)
            )


def _joined(told: Sequence[Events]) -> Events:
    """Events of several rows, to be promised as one."""
    return Events(
        frame=pl.concat([one.frame for one in told]),
        rows={event_id: row for one in told for event_id, row in one.rows.items()},
        silent=[row for one in told for row in one.silent],
    )
