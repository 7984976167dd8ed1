"""Folds the events of one person after another, as `consumers.fold` says, and tells what became of each."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from typing import Any
from uuid import UUID

from bus.envelope import ChangeKind
from consumers.fold import Fact, fold, voided_by

DUPLICATE = "duplicate"
# The columns of an event, as `LoggedEvent.of` takes them; whatever follows them two events of one id must share.
EVENT_COLUMNS = (
    "subject",
    "partition",
    "position",
    "known_at",
    "event_id",
    "record_key",
    "change_kind",
    "previous_event_id",
    "effective_from",
    "effective_to",
)
CONTENT_COLUMNS = ("recorded_at", "under_investigation")  # and those of the body
_KINDS = tuple(ChangeKind)


@dataclass(frozen=True, slots=True)
class LoggedEvent:
    """An event as the log has it."""

    subject: UUID
    partition: int
    fact: Fact

    @classmethod
    def of(cls, row: Sequence[Any]) -> "LoggedEvent":
        """The event that a row of EVENT_COLUMNS, CONTENT_COLUMNS and the body's columns says."""
        subject, partition, position, known_at, event_id, record_key, kind, previous, starts, ends, *content = row
        fact = Fact(
            event_id=event_id,
            record_key=record_key,
            change_kind=_KINDS[kind],
            effective_from=starts,
            effective_to=ends,
            previous_event_id=previous,
            body={"content": ["NaN" if value != value else value for value in content]},  # to Python NaN is not itself
            known_at=known_at,
            position=position,
        )
        return cls(subject, partition, fact)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fate:
    """What became of an event: void by another, passed by for a reason, or neither."""

    voided_by: UUID | None = None
    reason: str | None = None


STANDS = Fate()


def fates(log: Iterable[LoggedEvent]) -> Iterator[tuple[LoggedEvent, Fate]]:
    """Each event with its fate. The log is sorted by person, each person's events in their order."""
    for _, events in groupby(log, key=attrgetter("subject")):
        yield from _fates_of_one(list(events))


def _fates_of_one(events: Sequence[LoggedEvent]) -> Iterator[tuple[LoggedEvent, Fate]]:
    folded = fold(event.fact for event in events)
    undone = voided_by(folded.facts)
    taken = set(map(id, folded.facts))  # equal facts are two events: the second is a duplicate
    refused = {id(fact): str(reason) for fact, reason in folded.refused}
    for event in events:
        fact = event.fact
        if id(fact) not in taken:
            yield event, Fate(reason=refused.get(id(fact), DUPLICATE))
        elif fact.event_id in undone:
            yield event, Fate(voided_by=undone[fact.event_id])
        else:
            yield event, STANDS
