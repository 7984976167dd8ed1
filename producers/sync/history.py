"""The history of a row: the events that were told of it and still count, and which events tell the next change.

A row's facts lie one upon the other by the time from which they hold. A fact is the event that told it first, and those
that correct it: each of them corrects the first, for a correction that is itself undone gives back what it had
replaced. They hold from one time, so the latest of them is the one that counts; before a fact moves to another time
its corrections are annulled. To take a fact back, its events are annulled from the last to the first.
"""

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from bus.envelope import ChangeKind

ENTRIES_MAX = 64  # of one row; an older fact that a still older date would replace stays
CORRECTIONS_MAX = 16  # of one fact, until they are annulled and one stands for them
assert CORRECTIONS_MAX < ENTRIES_MAX
_ENTRY = struct.Struct(">16sq?")


class Entry(NamedTuple):
    """An event of a row that is not annulled: from when it holds, and whether it corrects the fact before it."""

    event_id: bytes
    effective_from: int  # microseconds since 1970
    is_correction: bool


History = tuple[Entry, ...]


class Identity(NamedTuple):
    """Whose record, and which."""

    subject: bytes
    record_key: str


class Telling(NamedTuple):
    """An event that is to be told; `tells_row` when it has the row's body and period."""

    change_kind: ChangeKind
    identity: Identity
    effective_from: int
    event_id: bytes
    previous_event_id: bytes | None = None
    tells_row: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """The events of one change of a row, in their order, and the row's history with them."""

    tellings: Sequence[Telling]
    history: History


class Teller:
    """Finds the events of one change of a row; `next_id` makes the id of the event at a place among them.

    A state is always of one record; a fact may turn out to be another person's.
    """

    def __init__(self, history: History, identity: Identity | None, next_id: Callable[[int], bytes]) -> None:
        self._history = list(history)
        self._identity = identity
        self._next_id = next_id
        self._tellings: list[Telling] = []

    def state(self, identity: Identity, effective_from: int) -> Told:
        """The row is how the record stands now, since a time. What it says of a later time is taken back."""
        self._identity = identity
        self._undo_while(lambda base: base > 0 and self._history[base - 1].effective_from >= effective_from)
        if self._history and self._history[-1].effective_from >= effective_from:
            return self._corrected(effective_from)
        return self._created(effective_from)

    def fact(self, identity: Identity, effective_from: int) -> Told:
        """The row is one fact: what it says now is what it should have said."""
        if self._history and identity != self._identity:
            self._undo_while(lambda _: True)
        self._identity = identity
        return self._corrected(effective_from) if self._history else self._created(effective_from)

    def ceased(self, effective_from: int) -> Told:
        """The record holds no longer."""
        self._end(effective_from)
        return self._told()

    def annulled(self) -> Told:
        """The row should never have been there."""
        self._undo_while(lambda _: True)
        return self._told()

    def _end(self, effective_from: int) -> None:
        """Nothing holds from a time on; facts that would begin then or later are taken back."""
        self._undo_while(lambda _: self._history[-1].effective_from >= effective_from)
        if self._history:
            self._tell(ChangeKind.CEASED, effective_from, is_correction=False)

    def _created(self, effective_from: int) -> Told:
        self._tell(ChangeKind.CREATED, effective_from, is_correction=False)
        return self._told()

    def _corrected(self, effective_from: int) -> Told:
        base = self._last_base()
        corrections = len(self._history) - base - 1
        if corrections and (self._history[-1].effective_from != effective_from or corrections == CORRECTIONS_MAX):
            self._undo(base + 1)
        self._tell(ChangeKind.CORRECTED, effective_from, is_correction=True)
        return self._told()

    def _tell(self, kind: ChangeKind, effective_from: int, *, is_correction: bool) -> None:
        assert self._identity is not None
        event_id = self._next_id(len(self._tellings))
        previous = self._history[self._last_base()].event_id if is_correction else None
        tells_row = kind is not ChangeKind.CEASED
        self._tellings.append(Telling(kind, self._identity, effective_from, event_id, previous, tells_row))
        self._history.append(Entry(event_id, effective_from, is_correction))

    def _undo_while(self, is_wrong: Callable[[int], bool]) -> None:
        """Takes back facts from the latest on, while they are wrong; asked with where the fact begins."""
        while self._history and is_wrong(base := self._last_base()):
            self._undo(base)

    def _undo(self, start: int) -> None:
        """Annuls the events from a place on, the last one first."""
        assert self._identity is not None
        while len(self._history) > start:
            entry = self._history.pop()
            event_id = self._next_id(len(self._tellings))
            self._tellings.append(
                Telling(ChangeKind.ANNULLED, self._identity, entry.effective_from, event_id, entry.event_id)
            )

    def _last_base(self) -> int:
        """Where the last fact begins in the history."""
        return next(place for place in reversed(range(len(self._history))) if not self._history[place].is_correction)

    def _told(self) -> Told:
        return Told(tellings=tuple(self._tellings), history=_shortened(self._history))


def _shortened(history: Sequence[Entry]) -> History:
    """The newest entries, from the beginning of a fact on."""
    start = max(len(history) - ENTRIES_MAX, 0)
    while start and history[start].is_correction:
        start += 1
    return tuple(history[start:])


def packed(history: History) -> bytes:
    """The history in bytes."""
    return b"".join(_ENTRY.pack(*entry) for entry in history)


def unpacked(content: bytes) -> History:
    """The history that bytes hold."""
    return tuple(Entry(*entry) for entry in _ENTRY.iter_unpack(content))
