"""The first step of every on-ramp: an agency's columns become the columns of changes.

A column that is missing or that nobody names is a mistake of the whole; a value that does not read is a refused row.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from bus.reasons import Reason
from producers.columns import Layout
from producers.desk import GIVEN, NATIONAL_ID, NEEDED, REFUSED_COLUMNS, ROW
from producers.errors import MappingError
from producers.ids import id_width, lacks_zeros
from producers.mapping import FieldMapping, FieldSource
from producers.reading import Reader
from registry.contracts import RecordType

HAS_BODY = "has_body"  # what follows from the rest, and no column of an agency


@dataclass(frozen=True, slots=True, kw_only=True)
class Mapped:
    """`changes` are ready for the desk, `rows` says which row of the agency each was; `refused` has REFUSED_COLUMNS.

    `restored` counts national ids that came as numbers and got leading zeros back; the desk checks their digits.
    """

    changes: pl.DataFrame
    rows: pl.Series
    refused: pl.DataFrame
    restored: int = 0


class Mapper:
    """Reads an agency's columns as changes to records of one type."""

    def __init__(
        self,
        record_type: RecordType,
        mapping: FieldMapping,
        *,
        place: str = "the mapping",
        scheme: str | None = None,
    ) -> None:
        if mapping.record_type not in (None, record_type.id):
            raise MappingError(
                f"{place} is for the record type '{mapping.record_type}', not for '{record_type.id}'",
                remedy="name that record type, or give the right mapping",
            )
        layout = Layout(record_type)
        self._place = place
        self._mapping = mapping
        self._body = layout.body_names
        given = {name: kind for name, kind in GIVEN.items() if name != HAS_BODY}
        self._types: Mapping[str, pl.DataType] = {**given, **{name: layout.types[name] for name in self._body}}
        self._required = (*NEEDED, *(f["name"] for f in record_type.body["fields"] if not isinstance(f["type"], list)))
        self._scheme = scheme
        self._id_width = None if scheme is None else id_width(scheme)
        self._reader = Reader(time_zone=mapping.time_zone)
        for name in mapping.fields:
            if name not in self._types:
                raise MappingError(
                    f"{place} maps to '{name}', which is no field of '{record_type.id}'",
                    remedy=f"fields are {', '.join(self._types)}",
                )

    def sources(self, columns: Sequence[str]) -> Mapping[str, FieldSource]:
        """Where each field comes from, given the columns that there are. Raises MappingError."""
        said = dict(self._mapping.fields)
        by_name = {name: FieldSource(column=name) for name in self._types if name in columns and name not in said}
        for name, source in said.items():
            if source.column is not None and source.column not in columns:
                raise MappingError(
                    f"{self._place} takes '{name}' from the column '{source.column}', which is not there",
                    remedy=f"columns are {', '.join(columns)}",
                )
        taken = {source.column for source in said.values()} | set(by_name) | set(self._mapping.ignore)
        others = [name for name in columns if name not in taken]
        if others and not self._mapping.ignore_others:
            raise MappingError(
                f"the column '{others[0]}' is no field of the record type",
                remedy="map it to a field in a mapping file, or name it there under 'ignore'",
            )
        sources = {**said, **by_name}
        missing = [name for name in self._required if name not in sources]
        if missing:
            raise MappingError(
                f"no column says '{missing[0]}'",
                remedy="name a column so, or map one to it in a mapping file, or give it a constant there",
            )
        return sources

    def map(self, frame: pl.DataFrame) -> Mapped:
        """The rows as changes, without those that have a value that does not read. Raises MappingError."""
        columns: list[pl.Series] = []
        faults: list[pl.DataFrame] = []
        restored = 0
        for name, source in self.sources(frame.columns).items():
            given = (
                frame[source.column] if source.column else pl.Series([source.constant]).new_from_index(0, frame.height)
            )
            if given.dtype.is_numeric() and source.width is None and self._types[name] == pl.String():
                if name != NATIONAL_ID or self._id_width is None:
                    self._hold_text(name, source)
                else:
                    source = source.model_copy(update={"width": self._id_width})
                    restored = int((given < 10 ** (self._id_width - 1)).sum())
            column = self._reader.read(given, self._types[name], source).alias(name)
            columns.append(column)
            if column.null_count() > given.null_count():
                faults.append(_faults(name, (column.is_null() & given.is_not_null()).arg_true()))
        refused = pl.concat([pl.DataFrame(schema=REFUSED_COLUMNS), *faults]).unique(ROW, keep="first").sort(ROW)
        rows = pl.int_range(frame.height, eager=True)
        is_read = ~rows.is_in(refused[ROW].implode())
        changes = pl.DataFrame(columns).filter(is_read) if faults else pl.DataFrame(columns)
        return Mapped(changes=changes, rows=rows.filter(is_read), refused=refused, restored=restored)

    def lacks_zeros(self, frame: pl.DataFrame, row: int) -> bool:
        """Whether a row's national id, a text, would be one with leading zeros."""
        column = self.sources(frame.columns)[NATIONAL_ID].column
        return column is not None and self._scheme is not None and lacks_zeros(frame.item(row, column), self._scheme)

    def _hold_text(self, name: str, source: FieldSource) -> None:
        """Raises MappingError for numbers where a field is text, unless codes say what each means."""
        if source.values is None:
            raise MappingError(
                f"the column '{source.column}' holds numbers, and '{name}' is text: leading zeros may be lost",
                remedy=f"format it as text at its source, or map it as {{column: {source.column}, width: N}}: "
                "N digits with leading zeros, 1 for as it stands",
            )


def _faults(name: str, rows: pl.Series) -> pl.DataFrame:
    return pl.DataFrame(
        {
            ROW: rows.cast(pl.Int64),
            "field": pl.Series([name] * len(rows), dtype=pl.String),
            "reason": pl.Series([str(Reason.INVALID_FIELD)] * len(rows), dtype=pl.String),
            "rule": pl.Series([""] * len(rows), dtype=pl.String),
        }
    )
