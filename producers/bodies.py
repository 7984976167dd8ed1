"""JSON objects as columns, each value read as the contract says and never as its neighbours look.

A text is a text, a number a number: nothing is guessed. A whole number may be written with a fraction of nothing, a day
is `2026-01-31`, an instant names its offset. A value that does not read is told by its row and its field.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

import polars as pl

from bus.columns import HAS_BODY
from producers.columns import Layout, series_of
from registry.contracts import RecordType

BODY = "body"
INT_BITS = {pl.Int32(): 31, pl.Int64(): 63}
UNREADABLE = (ValueError, TypeError, OverflowError, AttributeError)
DAY_CHARS = len("2026-01-31")

Read = Callable[[Any], Any]  # raises one of UNREADABLE for what does not read


@dataclass(frozen=True, slots=True, kw_only=True)
class Objects:
    """A row for each object; one where `faults` names a field that does not read says nothing."""

    frame: pl.DataFrame
    faults: Mapping[int, str]


class ObjectReader:
    """Reads objects whose fields have given types; `others` are fields that somebody else reads."""

    def __init__(self, types: Mapping[str, pl.DataType], *, others: Iterable[str] = ()) -> None:
        self._types = types
        self._known = frozenset(types).union(others)

    def read(self, objects: Sequence[Any]) -> Objects:
        """The objects in columns; None is an absent one, and what is no object of known fields is a fault."""
        faults = self._wrong_shapes(objects)
        good = [None if row in faults else one for row, one in enumerate(objects)] if faults else objects
        columns = [self._column(name, values, faults) for name, values in self._values(good).items()]
        return Objects(frame=pl.DataFrame(columns), faults=faults)

    def _wrong_shapes(self, bodies: Sequence[Any]) -> dict[int, str]:
        if all(body is None or (type(body) is dict and self._known.issuperset(body)) for body in bodies):
            return {}
        faults: dict[int, str] = {}
        for row, body in enumerate(bodies):
            if not isinstance(body, dict):
                if body is not None:
                    faults[row] = BODY
            elif unknown := [name for name in body if name not in self._known]:
                faults[row] = unknown[0]
        return faults

    def _values(self, bodies: Sequence[Mapping[str, Any] | None]) -> Mapping[str, Sequence[Any]]:
        """For each field its values; most often all bodies have the same fields in the same order."""
        first = bodies[0] if bodies else None
        if first and all(body is not None and body.keys() == first.keys() for body in bodies):
            order = tuple(first)
            if all(tuple(body) == order for body in bodies if body is not None):
                said = dict(
                    zip(order, zip(*(body.values() for body in bodies if body is not None), strict=True), strict=True)
                )
                return {name: said.get(name) or [None] * len(bodies) for name in self._types}
        return {name: [None if body is None else body.get(name) for body in bodies] for name in self._types}

    def _column(self, name: str, values: Sequence[Any], faults: dict[int, str]) -> pl.Series:
        kind = self._types[name]
        plain = _PLAIN.get(kind)
        try:
            if plain is not None and set(map(type, values)) <= plain:
                return series_of(name, values, kind)
            return series_of(name, [None if value is None else _READ[kind](value) for value in values], kind)
        except UNREADABLE:
            return series_of(name, self._one_by_one(name, values, faults), kind)

    def _one_by_one(self, name: str, values: Sequence[Any], faults: dict[int, str]) -> list[Any]:
        read: list[Any] = []
        for row, value in enumerate(values):
            try:
                read.append(None if value is None else _READ[self._types[name]](value))
            except UNREADABLE:
                faults.setdefault(row, name)
                read.append(None)
        return read


class BodyReader:
    """Reads bodies of one record type; a column tells an absent body from one of nulls."""

    def __init__(self, record_type: RecordType) -> None:
        layout = Layout(record_type)
        self._reader = ObjectReader({name: layout.types[name] for name in layout.body_names})

    def read(self, bodies: Sequence[Any]) -> Objects:
        """See ObjectReader.read."""
        read = self._reader.read(bodies)
        has_body = [body is not None and row not in read.faults for row, body in enumerate(bodies)]
        return Objects(
            frame=read.frame.with_columns(pl.Series(HAS_BODY, has_body, dtype=pl.Boolean)), faults=read.faults
        )


def _instant(value: Any) -> datetime:
    instant = datetime.fromisoformat(value)
    if instant.tzinfo is None:
        raise ValueError
    return instant


def _day(value: Any) -> date:
    if len(value) != DAY_CHARS or value[4] != "-" or value[7] != "-":
        raise ValueError
    return date.fromisoformat(value)


def _id(value: Any) -> bytes:
    return UUID(value).bytes


def _whole(bits: int) -> Read:
    def read(value: Any) -> int:
        if type(value) is float and value.is_integer():
            value = int(value)
        if type(value) is not int or not -(2**bits) <= value < 2**bits:
            raise ValueError
        return value

    return read


def _number(value: Any) -> float:
    if type(value) not in (int, float) or not math.isfinite(number := float(value)):
        raise ValueError
    return number


def _of(kind: type) -> Read:
    def read(value: Any) -> Any:
        if type(value) is not kind:
            raise TypeError
        return value

    return read


def _texts(value: Any) -> Any:
    if type(value) is not list or not set(map(type, value)) <= {str}:
        raise TypeError
    return value


_READ: Mapping[pl.DataType, Read] = {
    pl.String(): _of(str),
    pl.Boolean(): _of(bool),
    pl.Float64(): _number,
    pl.Date(): _day,
    pl.Datetime("us", "UTC"): _instant,
    pl.List(pl.String): _texts,
    pl.Binary(): _id,
    **{kind: _whole(bits) for kind, bits in INT_BITS.items()},
}
_PLAIN: Mapping[pl.DataType, frozenset[type]] = {
    pl.String(): frozenset({str, type(None)}),
    pl.Boolean(): frozenset({bool, type(None)}),
    pl.Int32(): frozenset({int, type(None)}),
    pl.Int64(): frozenset({int, type(None)}),
}
