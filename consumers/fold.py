"""The reference fold: what a timeline is, one event at a time, as plainly as it can be said.

The materializer is proved against this module and the auditor rebuilds with it; it shares no code
with the write path.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import zip_longest
from typing import Any
from uuid import UUID

from bus.envelope import ChangeKind
from bus.reasons import Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One event of a log, as far as a timeline needs it; `position` and `known_at` are the log's, not the event's."""

    event_id: UUID
    record_key: str = ""
    change_kind: ChangeKind
    effective_from: datetime
    effective_to: datetime | None = None
    previous_event_id: UUID | None = None
    body: Mapping[str, Any] | None = None
    known_at: datetime = field(compare=False)
    position: int = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Folded:
    """What became of a log: the facts in its order, how many were re-sent, and which were refused."""

    facts: tuple[Fact, ...]
    duplicates: int
    refused: tuple[tuple[Fact, Reason], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """What holds from `effective_from` until before `effective_to`; a ceased period says that nothing holds."""

    effective_from: datetime
    effective_to: datetime | None
    fact: Fact

    @property
    def is_ceased(self) -> bool:
        """Whether the period says that nothing holds."""
        return self.fact.change_kind is ChangeKind.CEASED

    def holds_at(self, instant: datetime) -> bool:
        """Whether the instant lies in the period, which is half-open."""
        return self.effective_from <= instant and (self.effective_to is None or instant < self.effective_to)


def fold(log: Iterable[Fact]) -> Folded:
    """The events of one person, of any record, taken one by one in log order; an id names one event of the person's."""
    taken: dict[UUID, Fact] = {}
    duplicates = 0
    refused: list[tuple[Fact, Reason]] = []
    for fact in log:
        if fact.event_id in taken:
            if taken[fact.event_id] == fact:
                duplicates += 1
            else:
                refused.append((fact, Reason.EVENT_ID_REUSED))
        elif fact.previous_event_id is not None and not _is_of_record(
            taken.get(fact.previous_event_id), fact.record_key
        ):
            refused.append((fact, Reason.UNKNOWN_PREVIOUS_EVENT))
        else:
            taken[fact.event_id] = fact
    return Folded(facts=tuple(taken.values()), duplicates=duplicates, refused=tuple(refused))


def _is_of_record(fact: Fact | None, record_key: str) -> bool:
    return fact is not None and fact.record_key == record_key


def voided_by(facts: Sequence[Fact]) -> dict[UUID, UUID]:
    """For each void event, the latest event that undoes it: one that names it and is not void itself.

    From the end of the log backwards every event's own fate is known before it is asked what it undoes.
    """
    undone: dict[UUID, UUID] = {}
    for fact in reversed(facts):
        if fact.previous_event_id is not None and fact.event_id not in undone:
            undone.setdefault(fact.previous_event_id, fact.event_id)
    return undone


def timeline(facts: Sequence[Fact], *, known_at: datetime | None = None) -> tuple[Period, ...]:
    """The periods of one record that hold by what was known at `known_at` (all that is known when None), in order."""
    known = [fact for fact in facts if known_at is None or fact.known_at <= known_at]
    undone = voided_by(known)
    live: dict[datetime, Fact] = {}
    for fact in known:
        if fact.event_id not in undone and fact.change_kind is not ChangeKind.ANNULLED:
            live[fact.effective_from] = fact  # the latest in the log wins
    starts = sorted(live)
    periods = []
    for start, following in zip_longest(starts, starts[1:]):
        ends = [end for end in (live[start].effective_to, following) if end is not None]
        periods.append(Period(effective_from=start, effective_to=min(ends, default=None), fact=live[start]))
    return tuple(periods)


def holding(periods: Iterable[Period], instant: datetime) -> Fact | None:
    """The fact that holds at an instant; None when nothing does."""
    for period in periods:
        if period.holds_at(instant):
            return None if period.is_ceased else period.fact
    return None
