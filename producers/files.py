"""Files of an agency, read in parts as columns: CSV, JSON Lines, Parquet, Excel.

A line that is no row is told by its number, and the others go on. Text stays text: what it means is the mapping's
affair, so that no leading zero is lost on the way.
"""

import csv
import json
from collections.abc import Iterator, Sequence
from io import TextIOWrapper
from itertools import islice
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow.parquet as pq

from bus.kafka import MESSAGE_BYTES_MAX
from producers.encodings import encoding_of
from producers.errors import UnreadableError
from producers.objects import columns_of
from producers.parts import ROWS_TOGETHER, LineFault, Part
from producers.sheets import sheet_parts

DELIMITERS = ",;\t|"
_BROKEN_TEXT = "bytes that are no text in the file's encoding"
_FORMATS = {
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".xlsx": "excel",
    ".xls": "excel",
    ".xlsb": "excel",
    ".ods": "excel",
}


def read_parts(
    path: Path, *, encoding: str | None = None, delimiter: str | None = None, sheet: str | None = None
) -> Iterator[Part]:
    """The rows of a file, part by part. Raises UnreadableError."""
    kind = _FORMATS.get(path.suffix.lower())
    if kind is None:
        raise UnreadableError(
            f"'{path.name}' has an ending that tells no format", remedy=f"known are {', '.join(sorted(_FORMATS))}"
        )
    try:
        if kind == "csv":
            yield from _csv_parts(path, encoding_of(path, said=encoding), delimiter)
        elif kind == "jsonl":
            yield from _json_parts(path, encoding_of(path, said=encoding))
        else:
            yield from _parquet_parts(path) if kind == "parquet" else sheet_parts(path, sheet)
    except UnicodeError as exc:
        raise UnreadableError(
            f"'{path.name}' is not in the encoding it was read with: {exc.reason if hasattr(exc, 'reason') else exc}",
            remedy="say its encoding with --encoding",
        ) from exc


def _csv_parts(path: Path, encoding: str, delimiter: str | None) -> Iterator[Part]:
    size = max(path.stat().st_size, 1)
    csv.field_size_limit(MESSAGE_BYTES_MAX)
    with path.open("rb") as raw, TextIOWrapper(raw, encoding, errors="surrogateescape", newline="") as text:
        header_line = text.readline()
        delimiter = delimiter or max(DELIMITERS, key=header_line.count)
        reader = csv.reader(text, delimiter=delimiter, strict=True)
        names = _header(next(csv.reader([header_line], delimiter=delimiter, strict=True), []), path)
        try:
            yield from _csv_rows(reader, names, lambda: raw.tell() / size)
        except csv.Error as exc:
            raise UnreadableError(
                f"'{path.name}' breaks off after line {reader.line_num + 1}: {exc}",
                remedy="look for a quotation mark that is never closed",
            ) from exc


def _csv_rows(reader: Any, names: Sequence[str], share: Any) -> Iterator[Part]:
    before = 1  # the header
    while True:
        rows, lines, faults = [], [], []
        for row in islice(reader, ROWS_TOGETHER):
            line, before = before + 1, reader.line_num + 1
            if len(row) == len(names):
                rows.append(row)
                lines.append(line)
            elif row:  # an empty line is none
                faults.append(LineFault(line=line, column="", value_class=f"{len(row)} fields, not {len(names)}"))
        if not rows and not faults:
            return
        yield _text_part(names, rows, lines, faults, share())


def _text_part(
    names: Sequence[str], rows: list[list[str]], lines: list[int], faults: list[LineFault], share: float
) -> Part:
    try:
        frame = _text_frame(names, rows)
    except UnicodeEncodeError:
        broken = [_broken_column(names, row) for row in rows]
        faults += [
            LineFault(line=line, column=column, value_class=_BROKEN_TEXT)
            for line, column in zip(lines, broken, strict=True)
            if column is not None
        ]
        rows = [row for row, column in zip(rows, broken, strict=True) if column is None]
        lines = [line for line, column in zip(lines, broken, strict=True) if column is None]
        frame = _text_frame(names, rows)
    return Part(frame=frame, lines=lines, faults=faults, share=share)


def _text_frame(names: Sequence[str], rows: list[list[str]]) -> pl.DataFrame:
    """The rows as columns of text; an empty cell says nothing."""
    columns: list[Sequence[Any]] = list(zip(*rows, strict=True)) if rows else [() for _ in names]
    frame = pl.DataFrame([pl.Series(name, column, pl.String) for name, column in zip(names, columns, strict=True)])
    return frame.select(pl.when(pl.all() != "").then(pl.all()))


def _broken_column(names: Sequence[str], row: list[str]) -> str | None:
    for name, cell in zip(names, row, strict=True):
        try:
            cell.encode()
        except UnicodeEncodeError:
            return name
    return None


def _header(cells: Sequence[str], path: Path) -> list[str]:
    names = [cell.strip() for cell in cells]
    if not any(names):
        raise UnreadableError(f"'{path.name}' has no header", remedy="name the columns in the first line")
    for name in names:
        if not name or names.count(name) > 1:
            raise UnreadableError(f"'{path.name}' has a column '{name}' more than once, or one without a name")
    return names


def _json_parts(path: Path, encoding: str) -> Iterator[Part]:
    size = max(path.stat().st_size, 1)
    with path.open("rb") as raw, TextIOWrapper(raw, encoding, errors="surrogateescape") as text:
        numbered = enumerate(text, start=1)
        while some := list(islice(numbered, ROWS_TOGETHER)):
            objects: list[dict[str, Any]] = []
            lines: list[int] = []
            faults: list[LineFault] = []
            for line, written in some:
                if not written.strip():
                    continue
                try:
                    row = json.loads(written.encode())
                except (ValueError, RecursionError, UnicodeEncodeError):
                    row = None
                if isinstance(row, dict):
                    objects.append(row)
                    lines.append(line)
                else:
                    faults.append(LineFault(line=line, column="", value_class="no JSON object"))
            columns = columns_of(objects)
            faults += [
                LineFault(line=lines[fault.place], column=fault.name, value_class=fault.value_class)
                for fault in columns.faults
            ]
            faults.sort(key=lambda fault: fault.line)
            lines = [lines[place] for place in columns.places]
            yield Part(frame=columns.frame, lines=lines, faults=faults, share=raw.tell() / size)


def _parquet_parts(path: Path) -> Iterator[Part]:
    try:
        with pq.ParquetFile(path) as file:
            total, read = max(file.metadata.num_rows, 1), 0
            for batch in file.iter_batches(ROWS_TOGETHER):
                frame = pl.DataFrame(pl.from_arrow(batch))
                read += frame.height
                yield Part(frame=frame, lines=range(read - frame.height + 1, read + 1), faults=(), share=read / total)
    except (OSError, ValueError) as exc:  # pyarrow's errors are of these
        raise UnreadableError(f"'{path.name}' cannot be read as Parquet: {exc}") from exc
