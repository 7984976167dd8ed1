"""Captured rows as a table's rows: in columns, with the time of their commit, read by the mapping of a sync."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from bus.columns import HAS_BODY
from bus.subject import Pseudonymizer
from producers.capture.envelopes import RowChange
from producers.columns import Layout
from producers.desk import GIVEN, INSTANT
from producers.errors import MappingError, MustDecideError
from producers.mapper import Mapped, Mapper
from producers.mapping import FieldSource
from producers.sync.cells import columns_of
from producers.sync.mapping import MADE_HERE, NOTICED_AT, SyncMapping
from producers.sync.outcome import Accepted
from registry.contracts import RecordType


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reader:
    mapper: Mapper
    columns: tuple[str, ...]
    by_field: Mapping[str, str]


class CapturedRows:
    """Reads the rows of one topic. Without `recorded_at` in the mapping, a change was recorded as it was committed."""

    def __init__(
        self, record_type: RecordType, mapping: SyncMapping, *, pseudonymizer: Pseudonymizer, place: str
    ) -> None:
        self._record_type = record_type
        self._mapping = mapping
        self._pseudonymizer = pseudonymizer
        self._place = place
        self._types = {**GIVEN, **Layout(record_type).types}
        self._readers: dict[tuple[str, ...], _Reader] = {}
        self._reader: _Reader | None = None

    def types(
        self, one: RowChange, key: tuple[str, ...], *, before: Mapping[str, str], accepted: Accepted
    ) -> Mapping[str, str]:
        """The types of the columns that are read, which a change tells. Raises MappingError, MustDecideError."""
        reader = self._reader = self._reader_of(tuple(one.row), key)
        types = {name: one.types.get(name, "") for name in reader.columns}
        changed = [name for name, kind in types.items() if kind and before.get(name) and before[name] != kind]
        if changed and not accepted.columns:
            name = changed[0]
            raise MustDecideError(
                f"the column '{name}' was of the type {before[name]} up to here and is {types[name]} now;"
                " what came before was sent, nothing of what follows",
                remedy="look whether the mapping still reads it rightly, then run once with --accept-columns",
            )
        return types

    def frame(self, changes: Sequence[RowChange]) -> pl.DataFrame:
        """The rows in columns."""
        names = self._chosen.columns
        rows = columns_of(names, [[change.row.get(name) for name in names] for change in changes])
        times = pl.Series(NOTICED_AT, [change.at for change in changes], dtype=INSTANT)
        return rows.with_columns(*self._numbers_read(rows), times)

    def mapped(self, rows: pl.DataFrame) -> Mapped:
        """The rows as changes."""
        return self._chosen.mapper.map(rows)

    def keys(self, changes: Sequence[RowChange], key: tuple[str, ...]) -> list[bytes | None]:
        """The keys of rows, as nobody can guess them without the domain key; None where a column of the key is null."""
        values = [[change.row.get(name) for name in key] for change in changes]
        return [None if None in one else self._pseudonymizer.pseudonym(_text(key, one)) for one in values]

    def column_of(self, field: str) -> str:
        """The column that says a field."""
        return self._chosen.by_field.get(field, field)

    @property
    def _chosen(self) -> _Reader:
        assert self._reader is not None, "types were asked for"
        return self._reader

    def _reader_of(self, names: tuple[str, ...], key: tuple[str, ...]) -> _Reader:
        if names not in self._readers:
            there = (*names, NOTICED_AT)
            fields = [name for name in self._types if name not in (*MADE_HERE, HAS_BODY)]
            said = self._mapping.changes(there, fields)
            if "recorded_at" not in said.fields:
                said = said.model_copy(
                    update={"fields": {**said.fields, "recorded_at": FieldSource(column=NOTICED_AT)}}
                )
            mapper = Mapper(self._record_type, said, place=self._place, scheme=self._pseudonymizer.scheme)
            sources = mapper.sources(there)
            by_field = {field: one.column for field, one in sources.items() if one.column is not None}
            needed = dict.fromkeys([*key, *by_field.values()])
            self._readers[names] = _Reader(
                mapper=mapper, columns=tuple(one for one in needed if one != NOTICED_AT), by_field=by_field
            )
        return self._readers[names]

    def _numbers_read(self, rows: pl.DataFrame) -> list[pl.Expr]:
        """Whole numbers as the texts or days that they are. Raises MappingError for times: nobody can tell the unit."""
        read = {}
        for field, name in self._chosen.by_field.items():
            if name not in rows.columns or not rows[name].dtype.is_integer():
                continue
            if self._types[field] == pl.String():
                read[name] = pl.col(name).cast(pl.String)
            elif self._types[field] == pl.Date():
                read[name] = pl.col(name).cast(pl.Int32).cast(pl.Date)
            elif self._types[field] == INSTANT:
                raise MappingError(
                    f"the column '{name}' comes as a number, and its unit is not told",
                    remedy="set value.converter.schemas.enable=true at the connector",
                )
        return list(read.values())


def _text(key: tuple[str, ...], values: Sequence[object]) -> str:
    return "yekbar capture " + json.dumps([key, values], default=str, ensure_ascii=False)
