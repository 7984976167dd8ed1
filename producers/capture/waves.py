"""Waves: changes that are told together. No row comes twice in one, so a wave that is told again tells nothing."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from confluent_kafka import Message

from producers.capture.envelopes import Envelopes, RowChange
from producers.errors import MappingError

ROWS_MAX = 1_000  # each may have several events, and a publisher promises some thousand as one


@dataclass(kw_only=True)
class Wave:
    """Changes of rows of one shape; `positions` are reached with them, and of each partition a time of commit."""

    key: tuple[str, ...] = ()
    changes: list[RowChange] = field(default_factory=list)
    positions: dict[int, int] = field(default_factory=dict)
    committed: dict[int, datetime] = field(default_factory=dict)
    _keys: set[tuple[str, ...]] = field(default_factory=set)

    def takes(self, change: RowChange, place: tuple[str, ...]) -> bool:
        """Whether the change may come in as well."""
        if not self.changes:
            return True
        first = self.changes[0]
        return (
            place not in self._keys
            and len(self.changes) < ROWS_MAX
            and not (first.is_truncation or change.is_truncation)
            and first.types == change.types
            and first.row.keys() == change.row.keys()
        )

    def add(self, change: RowChange, place: tuple[str, ...]) -> None:
        """Takes a change in."""
        self.changes.append(change)
        self._keys.add(place)


def waves(messages: Sequence[Message], envelopes: Envelopes, *, key: tuple[str, ...]) -> Iterator[Wave]:
    """The messages in waves, in their order; `key` are the mapping's columns, if it says any.

    Raises UnreadableError, MappingError, MustDecideError as the message is reached: what stands before it is told.
    """
    wave = Wave()
    for message in messages:
        value, partition, position = message.value(), message.partition(), message.offset()
        assert partition is not None
        assert position is not None
        try:
            change = None if value is None else envelopes.read(message.key(), value)
            named = key or ((change.key or wave.key) if change else ())
        except Exception:
            yield wave
            raise
        if change is not None:
            if not (named or change.is_truncation):
                yield wave
                raise MappingError(
                    "the topic's messages have no key",
                    remedy="say with 'key' which columns tell the table's rows apart",
                )
            place = _place(change.row, named)
            if not wave.takes(change, place):
                yield wave
                wave = Wave()
            wave.key = named or wave.key
            wave.add(change, place)
            wave.committed[partition] = change.at
        wave.positions[partition] = position + 1
    yield wave


def _place(row: Any, key: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(str(row.get(name)) for name in key)
