"""An agency's database, looked at: a sample of a table or query in columns. Nothing in it is changed."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import polars as pl
import sqlalchemy as sa
from sqlalchemy.exc import NoSuchTableError, SQLAlchemyError

from producers.errors import MappingError, SourceAwayError
from producers.onboarding.sample import Column, Sample
from producers.sync.table import engine_of

PERSONS_ASKED_MAX = 200  # whose rows are fetched whole, to see what tells them apart
ROWS_OF_PERSONS_MAX = 20_000
_SMALL = (sa.SmallInteger, sa.Integer)
_TYPES: Sequence[tuple[type | tuple[type, ...], pl.DataType]] = (
    (int, pl.Int64()),
    ((int, float, Decimal), pl.Float64()),
    (str, pl.String()),
)


class SourceDatabase:
    """A table or a query of an agency's database. A context manager; every method raises MappingError,
    SourceAwayError."""

    def __init__(self, url: str, *, table: str | None = None, query: str | None = None) -> None:
        assert (table is None) != (query is None), "either a table or a query"
        self._schema, _, self._table = (table or "").rpartition(".")
        self._query = None if query is None else query.strip().rstrip(";")
        self._engine = engine_of(url)

    def __enter__(self) -> "SourceDatabase":
        return self

    def __exit__(self, *_: object) -> None:
        self._engine.dispose()

    @property
    def name(self) -> str:
        """What a proposal calls it."""
        return "the query" if self._query is not None else f"the table '{self._table}'"

    def sample(self, rows: int) -> Sample:
        """The first rows."""
        with self._connected() as connection:
            told = {} if self._query is not None else self._described(connection)
            frame = _frame(self._rows(connection, rows + 1))
        columns = tuple(told[name][0] if name in told else Column(name=name) for name in frame.columns)
        small = [name for name, (_, is_small) in told.items() if is_small and frame[name].dtype == pl.Int64]
        narrowed = frame.with_columns(pl.col(small).cast(pl.Int32))
        return Sample(name=self.name, frame=narrowed[:rows], columns=columns, is_whole=frame.height <= rows)

    def rows_of(self, name: str, persons: pl.Series) -> pl.DataFrame:
        """All rows of some persons, by the column of their ids."""
        some = persons.drop_nulls().unique(maintain_order=True)[:PERSONS_ASKED_MAX].to_list()
        with self._connected() as connection:
            return _frame(self._rows(connection, ROWS_OF_PERSONS_MAX, sa.column(name).in_(some)))

    def _rows(self, connection: sa.Connection, limit: int, *where: Any) -> sa.CursorResult[Any]:
        asked = sa.select(sa.text("*")).where(*where).limit(limit)
        if self._query is None:
            return connection.execute(asked.select_from(sa.table(self._table, schema=self._schema or None)))
        # A colon of the agency's own names no parameter.
        given = sa.text(f"({self._query}) given_rows".replace("\\", "\\\\").replace(":", "\\:"))
        return connection.execute(asked.select_from(given))

    def _described(self, connection: sa.Connection) -> Mapping[str, tuple[Column, bool]]:
        """What the database says of a table's columns, and whether numbers in them are small."""
        looking, schema = sa.inspect(connection), self._schema or None
        try:
            found = looking.get_columns(self._table, schema)
        except NoSuchTableError:
            there = sorted([*looking.get_table_names(schema), *looking.get_view_names(schema)])
            raise MappingError(
                f"the database has no table '{self._table}'", remedy=f"it has {', '.join(there) or 'none'}"
            ) from None
        primary = looking.get_pk_constraint(self._table, schema).get("constrained_columns", [])
        unique = [one["column_names"] for one in looking.get_unique_constraints(self._table, schema)]
        return {
            one["name"]: (
                Column(
                    name=one["name"],
                    may_be_null=bool(one["nullable"]) and one["name"] not in primary,
                    is_unique=[one["name"]] in (primary, *unique),
                    is_primary=primary == [one["name"]],
                    comment=(one.get("comment") or "").strip(),
                    choices=tuple(getattr(one["type"], "enums", None) or ()),
                ),
                isinstance(one["type"], _SMALL) and not isinstance(one["type"], sa.BigInteger),
            )
            for one in found
        }

    @contextmanager
    def _connected(self) -> Iterator[sa.Connection]:
        try:
            connection = self._engine.connect()
        except SQLAlchemyError as exc:
            raise SourceAwayError(
                f"the agency's database cannot be reached: {_first_line(exc)}",
                remedy="check its address and that it runs",
            ) from exc
        try:
            with connection:
                yield connection
        except SQLAlchemyError as exc:
            raise MappingError(
                f"{self.name} cannot be read: {_first_line(exc)}", remedy="check its name, the query and the rights"
            ) from exc


def _first_line(exc: SQLAlchemyError) -> str:
    """What the database says, without the details, which may hold values."""
    return str(getattr(exc, "orig", None) or exc).strip().partition("\n")[0]


def _frame(result: sa.CursorResult[Any]) -> pl.DataFrame:
    names = list(result.keys())
    if len(set(names)) < len(names):
        raise MappingError("the query has two columns of one name", remedy="name them apart with AS")
    rows = result.fetchall()
    columns = zip(*rows, strict=True) if rows else [()] * len(names)
    return pl.DataFrame([_series(name, values) for name, values in zip(names, columns, strict=True)])


def _series(name: str, values: Sequence[Any]) -> pl.Series:
    """A column by the types of its values; where they differ, as databases without types let them, it is text."""
    kinds = {type(value) for value in values} - {type(None)}
    if kinds <= {bool} and kinds:
        return pl.Series(name, values, dtype=pl.Boolean)
    for types, dtype in _TYPES if kinds and bool not in kinds else ():
        if all(issubclass(kind, types) for kind in kinds):
            is_whole = kinds == {Decimal} and all(value is None or value % 1 == 0 for value in values)
            return pl.Series(name, values, dtype=pl.Int64() if is_whole else dtype, strict=False)
    if kinds == {datetime}:
        is_zoned = all(value is None or value.tzinfo is not None for value in values)
        return pl.Series(name, values, dtype=pl.Datetime("us", "UTC" if is_zoned else None))
    if kinds == {date}:
        return pl.Series(name, values, dtype=pl.Date)
    if kinds <= {str, int, float, Decimal, UUID}:
        return pl.Series(name, [None if value is None else str(value) for value in values], dtype=pl.String)
    return pl.Series(name, values, dtype=pl.Object)


def without_objects(sample: Sample) -> tuple[Sample, tuple[str, ...]]:
    """The sample without columns whose values no field can hold, and their names."""
    kept = [one for one in sample.columns if sample.frame[one.name].dtype != pl.Object]
    names = [one.name for one in kept]
    left = tuple(name for name in sample.frame.columns if name not in names)
    return replace(sample, columns=tuple(kept), frame=sample.frame.select(names)), left
