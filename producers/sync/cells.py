"""What a database's driver hands out, as columns. A column's type is that of its values, batch by batch.

Drivers differ, and SQLite's columns hold what they like: so a value is read in the end by what the contract wants of
it, and values of several types in one column are read as their texts.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import polars as pl
import pyarrow as pa

LONG_MAX = 2**63 - 1


def columns_of(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> pl.DataFrame:
    """The rows in columns."""
    columns = zip(*rows, strict=True) if rows else ((),) * len(names)
    return pl.DataFrame([_column(name, values) for name, values in zip(names, columns, strict=True)])


def _column(name: str, values: Sequence[Any]) -> pl.Series:
    types = set(map(type, values))
    types.discard(type(None))
    if not types:
        return pl.Series(name, values, pl.Null())
    make = _MAKERS.get(types.pop()) if len(types) == 1 else None
    return (make or _texts)(name, values)


def _plain(kind: pl.DataType) -> Callable[[str, Sequence[Any]], pl.Series]:
    def make(name: str, values: Sequence[Any]) -> pl.Series:
        try:
            return pl.Series(name, values, kind)
        except (OverflowError, UnicodeEncodeError, TypeError):
            return _texts(name, values)

    return make


def _times(name: str, values: Sequence[datetime | None]) -> pl.Series:
    zoned = [value is not None and value.tzinfo is not None for value in values]
    if any(zoned) and not all(is_zoned or value is None for is_zoned, value in zip(zoned, values, strict=True)):
        return _texts(name, values)
    return pl.Series(name, pa.array(values, pa.timestamp("us", "UTC" if any(zoned) else None)))


def _days(name: str, values: Sequence[date | None]) -> pl.Series:
    return pl.Series(name, pa.array(values, pa.date32()))


def _exact_numbers(name: str, values: Sequence[Decimal | None]) -> pl.Series:
    """Whole numbers as such; where one has a fraction, the texts of all."""
    numbers = [None if value is None or not value.is_finite() or value % 1 else int(value) for value in values]
    if any(
        given is not None and (number is None or abs(number) > LONG_MAX)
        for given, number in zip(values, numbers, strict=True)
    ):
        return _texts(name, values)
    return pl.Series(name, numbers, pl.Int64())


def _lists(name: str, values: Sequence[Any]) -> pl.Series:
    texts = [None if value is None else [None if one is None else _text(one) for one in value] for value in values]
    return pl.Series(name, texts, pl.List(pl.String))


def _texts(name: str, values: Sequence[Any]) -> pl.Series:
    return pl.Series(name, [None if value is None else _text(value) for value in values], pl.String())


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()  # half of a surrogate pair is no text
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value).hex()
    if isinstance(value, datetime) and value.tzinfo is not None:
        return value.astimezone(UTC).isoformat()
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return format(value.normalize(), "f") if value.is_finite() else str(value)
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False, default=str)
    return str(value)


_MAKERS: Mapping[type, Callable[[str, Sequence[Any]], pl.Series]] = {
    str: _plain(pl.String()),
    int: _plain(pl.Int64()),
    float: _plain(pl.Float64()),
    bool: _plain(pl.Boolean()),
    datetime: _times,
    date: _days,
    Decimal: _exact_numbers,
    list: _lists,
    UUID: _texts,
}
