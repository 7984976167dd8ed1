"""JSON objects as columns. A value of another type than most of its column's has no place there, and is told."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from producers.reading import value_class

EXACT_MAX = 2**53  # whole numbers up to here are themselves among broken ones
KINDS = (pl.String(), pl.Int64(), pl.Float64(), pl.Boolean(), pl.List(pl.String))
_PLAIN: Mapping[type, pl.DataType] = {
    str: pl.String(),
    int: pl.Int64(),
    float: pl.Float64(),
    bool: pl.Boolean(),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectFault:
    """An object that has no place among the others: which, for which of its names, and what is there."""

    place: int
    name: str
    value_class: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectColumns:
    """The objects in columns; `places` says which object each row was, `faults` tells of the others."""

    frame: pl.DataFrame
    places: Sequence[int]
    faults: Sequence[ObjectFault]


def columns_of(objects: Sequence[Mapping[str, Any]]) -> ObjectColumns:
    """The objects as columns of text, whole numbers, numbers, truths, or arrays of text."""
    names = list(dict.fromkeys(name for one in objects for name in one))
    alike = [_alike(name, [one.get(name) for one in objects]) for name in names]
    whole = [column for column in alike if column is not None]
    if len(whole) == len(alike):
        return ObjectColumns(frame=pl.DataFrame(whole), places=range(len(objects)), faults=())
    bad: dict[int, ObjectFault] = {}
    kinds: dict[str, pl.DataType] = {}
    for name in names:
        values = [one.get(name) for one in objects]
        kinds[name] = kind = _kind_of_most(values)
        for place, value in enumerate(values):
            if value is not None and not _is_of(value, kind):
                bad.setdefault(place, ObjectFault(place=place, name=name, value_class=value_class(value)))
    good = [place for place in range(len(objects)) if place not in bad]
    columns = [pl.Series(name, [objects[place].get(name) for place in good], kinds[name]) for name in names]
    return ObjectColumns(frame=pl.DataFrame(columns), places=good, faults=[bad[place] for place in sorted(bad)])


def _alike(name: str, values: Sequence[Any]) -> pl.Series | None:
    """The column, when all its values are plainly of one type: nearly always, and then quickly."""
    types = set(map(type, values)) - {type(None)}
    kind = _PLAIN.get(types.pop() if types else str)
    if types or kind is None:
        return None
    try:
        column = pl.Series(name, values, kind)
    except (UnicodeEncodeError, OverflowError, TypeError):
        return None
    return column if kind != pl.Float64() or column.is_finite().all() else None


def _kind_of_most(values: Sequence[Any]) -> pl.DataType:
    given = [value for value in values if value is not None]
    counts = {kind: sum(_is_of(value, kind) for value in given) for kind in KINDS}
    return max(counts, key=lambda kind: counts[kind])


def _is_of(value: Any, kind: pl.DataType) -> bool:
    if kind == pl.String():
        return isinstance(value, str) and (value.isascii() or _is_text(value))
    if kind == pl.Boolean():
        return isinstance(value, bool)
    if kind == pl.List(pl.String):
        return isinstance(value, list) and all(isinstance(item, str) and _is_text(item) for item in value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    if kind == pl.Int64():
        return isinstance(value, int) and -(2**63) <= value < 2**63
    return math.isfinite(value) if isinstance(value, float) else abs(value) <= EXACT_MAX


def _is_text(value: str) -> bool:
    """Whether it is text; an escape in JSON can make half of a surrogate pair."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
