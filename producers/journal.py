"""The journal: the durable promise that what was given a sequence reaches the log, once.

Before an event is sent, its sequence, id, key and value are in the journal; it leaves on acknowledgement. After a crash
the log itself says which promises were kept (see `producers.recovery`), the rest are sent again as they were. So
sequences stay dense, and an event never gets a second id. A journal serves one source, and one process at a time.
`producers.journal_file` keeps it in a file; its twin here lasts as long as the process.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from producers.errors import SourceBusyError, WrongJournalError

FIRST_SEQUENCE = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """Events that go out together, in sequence from `first_sequence`; `remembered` are ids that must not come again."""

    first_sequence: int
    keys: Sequence[bytes]
    values: Sequence[bytes]
    remembered: Sequence[bytes] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """Promises that the broker has acknowledged, and up to where each partition holds nothing else of ours."""

    first_sequences: Sequence[int] = ()
    positions: Mapping[int, int] = field(default_factory=dict)


NOTHING_KEPT = Kept()


class Journal(Protocol):
    """What a publisher promises by. Every call may raise JournalError."""

    def open(self, *, source: str, topic: str) -> None:
        """Takes the journal for this process. Raises SourceBusyError, WrongJournalError."""

    def bind(self, topic_id: str) -> None:
        """Ties the journal to one life of the topic. Raises WrongJournalError when it was another one before."""

    def next_sequence(self) -> int:
        """The sequence of the next event."""

    def positions(self) -> dict[int, int]:
        """For each partition the position from which on promises may be in the log."""

    def promises(self) -> list[Promise]:
        """The promises not yet kept, in sequence."""

    def known(self, event_ids: Sequence[bytes]) -> Collection[bytes]:
        """Those of the ids that were remembered with a promise before."""

    def promise(self, promise: Promise, kept: Kept = NOTHING_KEPT) -> None:
        """Returns when the promise is durable; and, in the same step, forgets what was kept."""

    def settle(self, kept: Kept) -> None:
        """Forgets promises that were kept, and moves the positions."""

    def learn(self, next_sequence: int, event_ids: Sequence[bytes]) -> None:
        """Takes over from the log what the source has published without this journal's knowledge."""

    def close(self) -> None:
        """Gives the journal free; promises stay."""


class MemoryJournal:
    """The same promises in memory: they last as long as the object, over any number of openings."""

    def __init__(self) -> None:
        self._is_open = False
        self._bound: tuple[str, str] | None = None
        self._topic_id: str | None = None
        self._next_sequence = FIRST_SEQUENCE
        self._positions: dict[int, int] = {}
        self._promises: dict[int, Promise] = {}
        self._published: set[bytes] = set()

    def open(self, *, source: str, topic: str) -> None:
        """See Journal."""
        if self._is_open:
            raise SourceBusyError(f"another publisher publishes as source '{source}' now")
        if self._bound not in (None, (source, topic)):
            raise WrongJournalError(f"the journal is not that of '{source}' on '{topic}'")
        self._is_open, self._bound = True, (source, topic)

    def bind(self, topic_id: str) -> None:
        """See Journal."""
        hold_same_topic(self._topic_id, topic_id, "the journal")
        self._topic_id = topic_id

    def next_sequence(self) -> int:
        """See Journal."""
        return self._next_sequence

    def positions(self) -> dict[int, int]:
        """See Journal."""
        return dict(self._positions)

    def promises(self) -> list[Promise]:
        """See Journal."""
        return [self._promises[first] for first in sorted(self._promises)]

    def known(self, event_ids: Sequence[bytes]) -> Collection[bytes]:
        """See Journal."""
        return self._published.intersection(event_ids)

    def promise(self, promise: Promise, kept: Kept = NOTHING_KEPT) -> None:
        """See Journal."""
        assert promise.first_sequence == self._next_sequence, "sequences are dense"
        self.settle(kept)
        self._promises[promise.first_sequence] = promise
        self._published.update(promise.remembered)
        self._next_sequence += len(promise.values)

    def settle(self, kept: Kept) -> None:
        """See Journal."""
        for first in kept.first_sequences:
            self._promises.pop(first, None)
        self._positions.update(kept.positions)

    def learn(self, next_sequence: int, event_ids: Sequence[bytes]) -> None:
        """See Journal."""
        self._next_sequence = max(next_sequence, self._next_sequence)
        self._published.update(filter(is_content_id, event_ids))

    def close(self) -> None:
        """See Journal."""
        self._is_open = False


def is_content_id(event_id: bytes) -> bool:
    """Whether an id was made from content (UUID version 8), so that the same content must not be published again."""
    return event_id[6] >> 4 == 8


def hold_same_topic(bound: str | None, topic_id: str, journal: str) -> None:
    """Returns when a journal's topic is the one it was. Raises WrongJournalError."""
    if bound not in (None, topic_id):
        raise WrongJournalError(
            f"{journal} was kept for a topic that has been made anew since: what it knows is not in the log",
            remedy="remove the journal to publish everything again, or publish as another source",
        )
