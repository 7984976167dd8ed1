"""Parts of a file: some rows in columns, where each stands, and the lines that are no rows."""

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

ROWS_TOGETHER = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class LineFault:
    """A line that is no row: its number, the column where one is at fault, and what is there, without the value."""

    line: int
    column: str
    value_class: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Some rows of a file: `lines` says where each begins, `faults` are lines that are no rows, `share` is up to 1."""

    frame: pl.DataFrame
    lines: Sequence[int]
    faults: Sequence[LineFault]
    share: float
