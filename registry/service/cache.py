"""Schemas that were asked for before. A schema never changes, so the only thing to watch is whether it still exists."""

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock
from typing import Generic, TypeVar

FRESH_S = 30.0  # how long a permanent delete by another service may stay unseen here
ENTRIES_MAX = 10_000
CHARACTERS_MAX = 64_000_000  # of all schemas together

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Entry(Generic[T]):
    value: T
    size: int
    fresh_until: float


class SchemaCache(Generic[T]):
    """The values of ids, the least used ones forgotten; for many threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = Lock()
        self._entries: OrderedDict[int, _Entry[T]] = OrderedDict()
        self._characters = 0

    def fresh(self, schema_id: int) -> T | None:
        """The value, unless it should be looked up again."""
        entry = self._entry(schema_id)
        return entry.value if entry is not None and entry.fresh_until > self._clock() else None

    def known(self, schema_id: int) -> T | None:
        """The value however old it is: what is still true while the database is away."""
        entry = self._entry(schema_id)
        return None if entry is None else entry.value

    def _entry(self, schema_id: int) -> _Entry[T] | None:
        with self._lock:
            entry = self._entries.get(schema_id)
            if entry is not None:
                self._entries.move_to_end(schema_id)
            return entry

    def remember(self, schema_id: int, value: T, *, size: int) -> None:
        """Keeps a value that was looked up now."""
        with self._lock:
            self._drop(schema_id)
            self._entries[schema_id] = _Entry(value, size, self._clock() + FRESH_S)
            self._characters += size
            while len(self._entries) > ENTRIES_MAX or self._characters > CHARACTERS_MAX:
                self._drop(next(iter(self._entries)))

    def forget(self, schema_id: int) -> None:
        """Drops a value, because it may be gone."""
        with self._lock:
            self._drop(schema_id)

    def _drop(self, schema_id: int) -> None:
        entry = self._entries.pop(schema_id, None)
        if entry is not None:
            self._characters -= entry.size
