"""How a table's rows are read as changes: the mapper of every on-ramp, over the columns that a sync needs."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import polars as pl

from bus.columns import HAS_BODY
from bus.subject import Pseudonymizer
from producers.columns import Layout
from producers.desk import GIVEN, INSTANT, NATIONAL_ID
from producers.errors import MappingError
from producers.ids import id_width
from producers.mapper import Mapped, Mapper
from producers.reading import folded_digits
from producers.sync.mapping import MADE_HERE, NOTICED_AT, Meaning, SyncMapping
from producers.sync.table import Shape
from registry.contracts import RecordType


@dataclass(frozen=True, slots=True, kw_only=True)
class TableReader:
    """Reads the rows of one table; `columns` are those that are asked of it, `by_field` says which field has which.

    `key` tells rows apart, `shown_key` tells a person which row is meant. `noticed_fields` say when a round saw a row,
    and nothing of the row itself.
    """

    mapper: Mapper
    columns: tuple[str, ...]
    by_field: Mapping[str, str]
    key: tuple[str, ...]
    shown_key: tuple[str, ...]
    is_key_unique: bool
    key_widths: Mapping[str, int]
    texts: frozenset[str]
    noticed_fields: tuple[str, ...]
    is_noticed_ours: bool

    def read(self, rows: pl.DataFrame, *, noticed_at: datetime) -> Mapped:
        """The rows as changes."""
        if self.is_noticed_ours:
            rows = rows.with_columns(pl.lit(noticed_at).cast(INSTANT).alias(NOTICED_AT))
        whole = [name for name in rows.columns if name in self.texts and rows[name].dtype.is_integer()]
        return self.mapper.map(rows.with_columns(pl.col(name).cast(pl.String) for name in whole))

    def key_texts(self, rows: pl.DataFrame) -> list[pl.Series]:
        """What makes the keys of rows, the same whatever a driver or a column's type makes of it."""
        return [self._key_text(name, rows[name]) for name in self.key]

    def _key_text(self, name: str, column: pl.Series) -> pl.Series:
        text = _as_text(column)
        width = self.key_widths.get(name)
        return text if width is None else folded_digits(text.str.strip_chars()).str.zfill(width)


def table_reader(
    record_type: RecordType, mapping: SyncMapping, shape: Shape, *, pseudonymizer: Pseudonymizer, place: str
) -> TableReader:
    """How the rows of a table of this shape are read. Raises MappingError."""
    layout = Layout(record_type)
    types = {**GIVEN, **{name: layout.types[name] for name in layout.body_names}}
    fields = [name for name in types if name not in (*MADE_HERE, HAS_BODY)]
    there = [*shape.types, NOTICED_AT]
    changes = mapping.changes(there, fields)
    mapper = Mapper(record_type, changes, place=place, scheme=pseudonymizer.scheme)
    by_field = {field: source.column for field, source in mapper.sources(there).items() if source.column is not None}
    named = record_type.record_key_field or ""
    person, record = by_field.get(NATIONAL_ID), by_field.get("record_key") or by_field.get(named)
    identity = tuple(name for name in (person, record) if name is not None)
    key = identity if mapping.row is Meaning.STATE else mapping.key or shape.primary
    if not key:
        raise MappingError(
            f"{place} tells nothing by which rows are told apart, and the table has no primary key",
            remedy="say with 'key' which columns tell its rows apart",
        )
    change = [] if mapping.changed_by is None else [mapping.changed_by]
    shown = mapping.key or shape.primary or key
    needed = tuple(dict.fromkeys([*key, *shown, *change, *by_field.values()]))
    for name in needed:
        if name not in there:
            raise MappingError(
                f"{place} names the column '{name}', which is not there", remedy=f"columns are {', '.join(shape.types)}"
            )
    widths = {source.column: source.width for source in changes.fields.values() if source.width and source.column}
    if person is not None:
        widths[person] = widths.get(person) or id_width(pseudonymizer.scheme) or 1
    return TableReader(
        mapper=mapper,
        columns=tuple(name for name in needed if name in shape.types),
        by_field=by_field,
        key=key,
        shown_key=shown,
        is_key_unique=shape.is_unique(key),
        key_widths=widths if mapping.row is Meaning.STATE else {},
        texts=frozenset(column for field, column in by_field.items() if types[field] == pl.String()),
        noticed_fields=()
        if NOTICED_AT in shape.types
        else tuple(f for f, name in by_field.items() if name == NOTICED_AT),
        is_noticed_ours=NOTICED_AT not in shape.types,
    )


def _as_text(column: pl.Series) -> pl.Series:
    if column.dtype == pl.String:
        return column
    if isinstance(column.dtype, pl.Datetime):
        return column.dt.strftime("%Y-%m-%dT%H:%M:%S%.6f")
    return column.dt.strftime("%Y-%m-%d") if column.dtype == pl.Date else column.cast(pl.String)
