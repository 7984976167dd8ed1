"""A sample of an agency's table: some rows in columns, and what the database itself says of each column."""

from dataclasses import dataclass
from enum import StrEnum

import polars as pl


class Kind(StrEnum):
    """What a column holds, as far as a contract's field is concerned."""

    TEXT = "text"
    WHOLE = "whole number"
    NUMBER = "number"
    TRUTH = "truth value"
    DAY = "day"
    TIME = "time"
    OTHER = "something else"


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """What the database says of a column; of a query's columns it says nothing but their names."""

    name: str
    may_be_null: bool = True
    is_unique: bool = False
    is_primary: bool = False
    comment: str = ""
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """Some rows of a table or query; `is_whole` when there are no others."""

    name: str
    frame: pl.DataFrame
    columns: tuple[Column, ...]
    is_whole: bool


def kind_of(dtype: pl.DataType) -> Kind:
    """The kind of a column by its type alone."""
    if dtype in (pl.String, pl.Categorical, pl.Enum, pl.Null):
        return Kind.TEXT
    if dtype.is_integer() or (isinstance(dtype, pl.Decimal) and dtype.scale == 0):
        return Kind.WHOLE
    if dtype.is_numeric():
        return Kind.NUMBER
    if dtype == pl.Date():
        return Kind.DAY
    if isinstance(dtype, pl.Datetime):
        return Kind.TIME
    return Kind.TRUTH if dtype == pl.Boolean() else Kind.OTHER


def is_zoned(dtype: pl.DataType) -> bool:
    """Whether times of a type are instants, whatever the zone of the agency."""
    return isinstance(dtype, pl.Datetime) and dtype.time_zone is not None
