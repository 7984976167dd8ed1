"""Spreadsheets, read in parts as columns. A column of numbers is numbers, a mixed one is text, as the cells show it.

What Excel makes of an id or a code, a number without its leading zeros, is the mapping's affair. A cell that holds an
error (`#N/A`) is told, for it says neither something nor nothing.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import fastexcel
import polars as pl

from producers.errors import UnreadableError
from producers.parts import ROWS_TOGETHER, LineFault, Part

EXACT_MAX = 2**53  # the largest whole number that a cell holds exactly
_FIRST_LINE = 2  # below the header
_LINE = " line"  # no column's name begins with a blank
_BLANK_CELL = 'String("")'


def sheet_parts(path: Path, sheet: str | None) -> Iterator[Part]:
    """The rows of a sheet, part by part. Raises UnreadableError."""
    logging.getLogger("fastexcel").setLevel(logging.ERROR)  # it warns of each column that is empty
    table, errors = _read(path, sheet)
    cells = pl.DataFrame(pl.from_arrow(table))
    frame = _named(cells, path).with_row_index(_LINE, offset=_FIRST_LINE)
    faults = _faults(cells.columns, errors)
    is_said = pl.any_horizontal(pl.exclude(_LINE).is_not_null())
    rows = frame.filter(is_said, ~pl.col(_LINE).is_in(list(faults)))
    for start in range(0, max(rows.height, 1), ROWS_TOGETHER):
        part = rows[start : start + ROWS_TOGETHER]
        yield Part(
            frame=part.drop(_LINE),
            lines=part[_LINE].to_list(),
            faults=() if start else list(faults.values()),
            share=min((start + ROWS_TOGETHER) / max(rows.height, 1), 1.0),
        )


def _read(path: Path, sheet: str | None) -> tuple[Any, Any]:
    """The cells of the sheet as a table, and those that do not fit their columns."""
    try:
        book = fastexcel.read_excel(path)
        name = sheet if sheet is not None and sheet in book.sheet_names else _only_sheet(book, path, sheet)
        # Every row is looked at for a column's type: what comes late and is of another type would be lost.
        return book.load_sheet(name, schema_sample_rows=None).to_arrow_with_errors()
    except fastexcel.FastExcelError as exc:
        told = str(exc).partition("\n")[0]
        raise UnreadableError(
            f"'{path.name}' cannot be read as a spreadsheet: {told}",
            remedy="take off its password, or save it anew as .xlsx",
        ) from exc


def _only_sheet(book: fastexcel.ExcelReader, path: Path, said: str | None) -> str:
    """The one sheet that holds rows. Raises UnreadableError when there are several, or when another was said."""
    if said is not None:
        raise UnreadableError(
            f"'{path.name}' has no sheet '{said}'", remedy=f"its sheets are {', '.join(book.sheet_names)}"
        )
    found = book.sheet_names
    if len(found) > 1:
        found = [name for name in found if book.load_sheet(name, n_rows=1).width]
    if len(found) != 1:
        raise UnreadableError(
            f"'{path.name}' has {len(found) or 'no'} sheets with cells in them",
            remedy=f"say with --sheet which is meant: {', '.join(found)}"
            if found
            else "look whether it is the right file",
        )
    return found[0]


def _named(frame: pl.DataFrame, path: Path) -> pl.DataFrame:
    """The columns under their names; whole numbers as such. Raises UnreadableError."""
    columns: dict[str, pl.Series] = {}
    for column in frame.get_columns():
        name = column.name.strip()
        if name.startswith("__UNNAMED__"):
            if column.null_count() < len(column):
                raise UnreadableError(f"'{path.name}' has a column without a name", remedy="name it in the first row")
            continue
        columns[name] = _whole(column.alias(name))
    if not columns:
        raise UnreadableError(f"'{path.name}' has no header", remedy="name the columns in the first row of the sheet")
    return pl.DataFrame(list(columns.values()))


def _whole(column: pl.Series) -> pl.Series:
    """A column of whole numbers, which cells hold as numbers with a fraction, as whole numbers."""
    if column.dtype == pl.String:
        return column.set(column.str.strip_chars() == "", None)
    if column.dtype != pl.Float64:
        return column
    is_whole = ((column == column.floor()) & (column.abs() < EXACT_MAX)).all()
    return column.cast(pl.Int64) if is_whole else column


def _faults(names: Sequence[str], errors: Any) -> Mapping[int, LineFault]:
    """The lines with a cell that holds an error."""
    faults: dict[int, LineFault] = {}
    for error in errors.errors if errors is not None else ():
        if _BLANK_CELL in error.detail:
            continue
        row, place = error.offset_position
        line = row + _FIRST_LINE
        fault = LineFault(line=line, column=names[place].strip(), value_class="a cell that holds an error")
        faults.setdefault(line, fault)
    return faults
