"""How a table's rows are read as changes: the mapper of every on-ramp, over the columns that a sync needs."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import polars as pl

from bus.columns import HAS_BODY
from bus.subject import Pseudonymizer
from producers.columns import Layout
from producers.desk import GIVEN, INSTANT
from producers.errors import MappingError
from producers.mapper import Mapped, Mapper
from producers.sync.mapping import MADE_HERE, NOTICED_AT, SyncMapping
from producers.sync.table import Shape
from registry.contracts import RecordType


@dataclass(frozen=True, slots=True, kw_only=True)
class TableReader:
    """Reads the rows of one table; `columns` are those that are asked of it, `by_field` says which field has which."""

    mapper: Mapper
    columns: tuple[str, ...]
    by_field: Mapping[str, str]
    texts: frozenset[str]
    is_noticed_ours: bool

    def read(self, rows: pl.DataFrame, *, noticed_at: datetime) -> Mapped:
        """The rows as changes."""
        if self.is_noticed_ours:
            rows = rows.with_columns(pl.lit(noticed_at).cast(INSTANT).alias(NOTICED_AT))
        whole = [name for name in rows.columns if name in self.texts and rows[name].dtype.is_integer()]
        return self.mapper.map(rows.with_columns(pl.col(name).cast(pl.String) for name in whole))


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
    change = [] if mapping.changed_by is None else [mapping.changed_by]
    needed = tuple(dict.fromkeys([*shape.key, *change, *by_field.values()]))
    for name in needed:
        if name not in there:
            raise MappingError(
                f"{place} names the column '{name}', which is not there", remedy=f"columns are {', '.join(shape.types)}"
            )
    return TableReader(
        mapper=mapper,
        columns=tuple(name for name in needed if name in shape.types),
        by_field=by_field,
        texts=frozenset(column for field, column in by_field.items() if types[field] == pl.String()),
        is_noticed_ours=NOTICED_AT not in shape.types,
    )
