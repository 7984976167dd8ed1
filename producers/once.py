"""Once: changes that come with ids of their own are known when they come again, by what the journal remembers.

For each such change the journal remembers its id, and its mark: the id with a digest of what was said. So a repeat is
told from another change under an id that was used before.
"""

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

DIGEST_BYTES = 8


def mark_of(event_id: bytes, said: bytes) -> bytes:
    """The mark of a change that was said in these words."""
    return event_id + hashlib.blake2b(said, digest_size=DIGEST_BYTES, key=event_id).digest()


@dataclass(slots=True)
class Sorted:
    """Rows by what they are: new ones, repeats with the row they repeat (None: an earlier call), reused ids."""

    new: list[int] = field(default_factory=list)
    repeats: dict[int, int | None] = field(default_factory=dict)
    reused: list[int] = field(default_factory=list)


def sorted_out(event_ids: Sequence[bytes], marks: Sequence[bytes | None], known: Collection[bytes]) -> Sorted:
    """The rows sorted, given what the journal remembers; a row without a mark is always new."""
    rows = Sorted()
    first: dict[bytes, int] = {}
    for row, (event_id, mark) in enumerate(zip(event_ids, marks, strict=True)):
        if mark is None:
            rows.new.append(row)
        elif event_id in known:
            if mark in known:
                rows.repeats[row] = None
            else:
                rows.reused.append(row)
        elif event_id not in first:
            first[event_id] = row
            rows.new.append(row)
        elif marks[first[event_id]] == mark:
            rows.repeats[row] = first[event_id]
        else:
            rows.reused.append(row)
    return rows
