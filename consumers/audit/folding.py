"""Folds the events of one person after another, as `consumers.fold` says, and tells what became of each."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import groupby
from typing import Any
from uuid import UUID

from bus.envelope import ChangeKind
from consumers.fold import Fact, fold, voided_by

DUPLICATE = "duplicate"
_KINDS = tuple(ChangeKind)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedEvent:
    """An event as the log has it; `content` is all else that an event says and that two with one id must share."""

    subject: UUID
    event_id: UUID
    record_key: str
    change_kind: int
    previous_event_id: UUID | None
    effective_from: Any  # a datetime; psycopg gives no narrower type
    effective_to: Any
    known_at: Any
    partition: int
    position: int
    content: tuple[Any, ...]

    @classmethod
    def of(cls, row: Mapping[str, Any], *, body_names: Sequence[str]) -> "LoggedEvent":
        """The event that a row says."""
        named = {name: row[name] for name in EVENT_FIELDS}
        return cls(**named, content=tuple(_comparable(row[name]) for name in (*CONTENT_FIELDS, *body_names)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Fate:
    """What became of an event: void by another, passed by for a reason, or neither."""

    voided_by: UUID | None = None
    reason: str | None = None


EVENT_FIELDS = tuple(field.name for field in fields(LoggedEvent) if field.name != "content")
CONTENT_FIELDS = ("recorded_at", "under_investigation")


def _comparable(value: Any) -> Any:
    """The value in a form in which what the database calls equal is equal: to Python, NaN differs from itself."""
    return "NaN" if value != value else value


def fates(log: Iterable[LoggedEvent]) -> Iterator[tuple[LoggedEvent, Fate]]:
    """Each event with its fate. The log is sorted by person, each person's events in their order."""
    for _, events in groupby(log, key=lambda event: event.subject):
        yield from _fates_of_one(list(events))


def _fates_of_one(events: Sequence[LoggedEvent]) -> Iterator[tuple[LoggedEvent, Fate]]:
    """The place among the person's events stands for the position: it is the order, and names one event."""
    folded = fold(fact_of(event, place) for place, event in enumerate(events))
    undone = voided_by(folded.facts)
    taken = {fact.position for fact in folded.facts}
    refused = {fact.position: str(reason) for fact, reason in folded.refused}
    for place, event in enumerate(events):
        if place in taken:
            yield event, Fate(voided_by=undone.get(event.event_id))
        else:
            yield event, Fate(reason=refused.get(place, DUPLICATE))


def fact_of(event: LoggedEvent, place: int) -> Fact:
    """The event as the fold takes it, at a place in the order of its person's events."""
    return Fact(
        event_id=event.event_id,
        record_key=event.record_key,
        change_kind=_KINDS[event.change_kind],
        effective_from=event.effective_from,
        effective_to=event.effective_to,
        previous_event_id=event.previous_event_id,
        body={"content": event.content},
        known_at=event.known_at,
        position=place,
    )
