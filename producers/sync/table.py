"""The agency's table, read through SQLAlchemy: nothing is ever written to its database.

**What a round's position is.** All rows of a round come from one statement in one read-only transaction, so they are
the table as it was at one moment: its snapshot (PostgreSQL and MariaDB: REPEATABLE READ; elsewhere what one statement
sees). The initial load is tied to that moment by its mark: the highest change value that the snapshot shows, and no
later than the database's own clock said as it began. The next round takes all from the mark less the overlap on. What
a transaction older than the overlap commits later, what is dated back, and what is deleted, the next full comparison
finds.
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import sqlalchemy as sa
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, NoSuchTableError, SQLAlchemyError

from producers.errors import MappingError, SourceAwayError
from producers.sync.cells import columns_of
from producers.sync.mapping import SyncMapping

ROWS_TOGETHER = 10_000  # no more than a publisher promises as one
CONNECT_S = 10
_DRIVERS = {"postgresql": "postgresql+psycopg", "mysql": "mysql+pymysql", "mariadb": "mariadb+pymysql"}
_SNAPSHOT: Mapping[str, Mapping[str, Any]] = {
    "postgresql": {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True},
    "mysql": {"isolation_level": "REPEATABLE READ"},
    "mariadb": {"isolation_level": "REPEATABLE READ"},
}
_CLOCKS: Mapping[str, str] = {
    "postgresql": "SELECT now()",
    "mysql": "SELECT utc_timestamp()",
    "mariadb": "SELECT utc_timestamp()",
    "sqlite": "SELECT strftime('%Y-%m-%d %H:%M:%f', 'now')",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """The columns of a table with the family of their types, its primary key, and what it holds unique beside it."""

    types: Mapping[str, str]
    primary: tuple[str, ...] = ()
    unique: tuple[tuple[str, ...], ...] = ()

    def is_unique(self, key: Collection[str]) -> bool:
        """Whether the database lets no two rows have the same values in these columns."""
        return any(set(names) <= set(key) for names in (self.primary, *self.unique) if names)


def engine_of(url: str) -> sa.Engine:
    """The database of a URL. Raises MappingError."""
    try:
        made = make_url(url)
        made = made.set(drivername=_DRIVERS.get(made.drivername, made.drivername))
        _hold_file(made)
        engine = sa.create_engine(made, poolclass=sa.NullPool, connect_args=_connect_args(made))
    except (ArgumentError, NoSuchModuleError, ImportError) as exc:
        raise MappingError(
            f"the database's URL cannot be used: {type(exc).__name__}",
            remedy="write it as postgresql://…, mariadb://…, sqlite:///…, and install the driver of another dialect",
        ) from None
    return engine


def _hold_file(url: URL) -> None:
    if url.get_backend_name() == "sqlite" and not (url.database and Path(url.database).exists()):
        raise MappingError(f"there is no SQLite file '{url.database}'", remedy="check the path after sqlite:///")


def _connect_args(url: URL) -> dict[str, Any]:
    is_dated = url.get_backend_name() in ("postgresql", "mysql", "mariadb")
    return {"connect_timeout": CONNECT_S} if is_dated else {}


class Table:
    """One table or query of an agency's database."""

    def __init__(self, engine: sa.Engine, mapping: SyncMapping) -> None:
        self._engine = engine
        self._mapping = mapping
        self._source: sa.FromClause | None = None

    @property
    def name(self) -> str:
        """What the mapping calls it."""
        return f"the table '{self._mapping.table}'" if self._mapping.table else "the query"

    def shape(self) -> Shape:
        """What the database says of the table now. Raises MappingError, SourceAwayError."""
        with self.translated(), self._engine.connect() as connection:
            if self._mapping.query is not None:
                return self._query_shape(connection)
            schema, _, name = (self._mapping.table or "").rpartition(".")
            try:
                table = sa.Table(name, sa.MetaData(), schema=schema or None, autoload_with=connection)
            except NoSuchTableError:
                raise MappingError(
                    f"the database has no table '{self._mapping.table}'", remedy="correct 'table' in the mapping"
                ) from None
            inspector = sa.inspect(connection)
            unique = inspector.get_unique_constraints(name, schema=schema or None)
            # Without types: what the driver hands out is read by what the contract wants of it.
            self._source = sa.table(name, *(sa.column(one.name) for one in table.columns), schema=schema or None)
            return Shape(
                types={column.name: _family(column.type) for column in table.columns},
                primary=tuple(column.name for column in table.primary_key),
                unique=tuple(tuple(filter(None, one["column_names"])) for one in unique),
            )

    def _query_shape(self, connection: sa.Connection) -> Shape:
        query = _without_parameters((self._mapping.query or "").strip().rstrip(";"))
        names = list(connection.execute(sa.text(f"SELECT * FROM ({query}) rows_of_query WHERE 1 = 0")).keys())
        self._source = sa.text(query).columns(*(sa.column(name) for name in names)).subquery("rows_of_query")
        return Shape(types=dict.fromkeys(names, ""))

    @contextmanager
    def snapshot(self, columns: Sequence[str]) -> Iterator["Snapshot"]:
        """The table as it is at one moment. Raises SourceAwayError, MappingError."""
        assert self._source is not None, "the shape was asked for"
        options = {"stream_results": True, "yield_per": ROWS_TOGETHER, **_SNAPSHOT.get(self._engine.dialect.name, {})}
        with self.translated():
            connection = self._engine.connect().execution_options(**options)
            snapshot = Snapshot(connection, self._source, columns)
            try:
                yield snapshot
            except BaseException:
                connection.invalidate()  # what is still on its way is not waited for
                snapshot.leave()
                raise
            finally:
                connection.close()

    @contextmanager
    def translated(self) -> Iterator[None]:
        """What the database's errors mean for a sync."""
        try:
            yield
        except DBAPIError as exc:
            if isinstance(exc, sa.exc.OperationalError | sa.exc.InterfaceError) or exc.connection_invalidated:
                raise SourceAwayError(
                    f"the agency's database is away: {type(exc.orig).__name__}",
                    remedy="check it and run again: what was sent is known, and the rest is read anew",
                ) from exc
            raise MappingError(
                f"the agency's database refuses to read {self.name}: {type(exc.orig).__name__}",
                remedy="check the mapping's names and query, the rights, and values that no client can read",
            ) from exc
        except (SQLAlchemyError, OverflowError) as exc:
            raise MappingError(
                f"{self.name} cannot be read: {type(exc).__name__}", remedy="check the mapping's 'table' or 'query'"
            ) from exc


class Snapshot:
    """Rows of a table at one moment."""

    def __init__(self, connection: sa.Connection, source: sa.FromClause, columns: Sequence[str]) -> None:
        self._connection = connection
        self._source = source
        self._columns = columns
        self._cursor: Any = None

    def leave(self) -> None:
        """Lets go of rows that are not read to their end, once the connection is closed."""
        if self._cursor is not None:
            with suppress(Exception):  # drivers differ in what they say of a connection that is gone
                self._cursor.close()

    def clock(self) -> datetime:
        """What the database's clock says; ours, where its dialect is not known here."""
        query = _CLOCKS.get(self._connection.dialect.name)
        said = self._connection.execute(sa.text(query)).scalar() if query else datetime.now(UTC)
        time = datetime.fromisoformat(said) if isinstance(said, str) else said
        assert isinstance(time, datetime)
        return time.replace(tzinfo=time.tzinfo or UTC).astimezone(UTC)

    def count(self, since: tuple[str, Any] | None) -> int:
        """How many rows there are, for a progress bar."""
        counted = self._where(sa.select(sa.func.count()).select_from(self._source), since)
        return int(self._connection.execute(counted).scalar_one())

    def repeated_keys(self, key: Sequence[str]) -> list[tuple[Any, ...]]:
        """The keys that more than one row has."""
        columns = [self._source.c[name] for name in key]
        repeated = sa.select(*columns).group_by(*columns).having(sa.func.count() > 1)
        return [tuple(row) for row in self._connection.execute(repeated)]

    def rows(self, since: tuple[str, Any] | None) -> Iterator[pl.DataFrame]:
        """The rows in columns, some at a time; with `since` those whose column has at least the value."""
        columns = [self._source.c[name] for name in self._columns]
        result = self._connection.execute(self._where(sa.select(*columns), since))
        self._cursor = result.cursor
        for some in result.partitions():
            yield columns_of(self._columns, some)

    def _where(self, query: sa.Select[Any], since: tuple[str, Any] | None) -> sa.Select[Any]:
        return query if since is None else query.where(self._source.c[since[0]] >= since[1])


def _without_parameters(query: str) -> str:
    """The query with its colons as they are: none of them names a parameter."""
    return re.sub(r"(?<![:\w\\]):(?=\w)", r"\\:", query)


def _family(kind: sa.types.TypeEngine[Any]) -> str:
    """What values of a type are, whatever their length."""
    try:
        return kind.python_type.__name__
    except NotImplementedError:
        return type(kind).__name__.lower()
