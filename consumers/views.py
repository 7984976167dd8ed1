"""Views: the table `facts` and the SQL view `timeline` of each record type, and the question "what holds at T".

A record type has a database schema of its own, named by it. Columns are only ever added: an old event still reads.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, LiteralString

from psycopg import Connection, sql

from registry.contracts import RecordType

DDL_LOCK = 0x59656B62  # "Yekb": one process at a time makes views, for CREATE IF NOT EXISTS races with itself

_SQL_TYPES: Mapping[str, LiteralString] = {
    "string": "text",
    "int": "integer",
    "long": "bigint",
    "boolean": "boolean",
    "double": "double precision",
    "date": "date",
    "timestamp-micros": "timestamptz",
    "enum": "text",
    "array": "text[]",
}


@dataclass(frozen=True, slots=True)
class Column:
    """One column of `facts`."""

    name: str
    sql_type: LiteralString
    is_nullable: bool = True


EVENT_COLUMNS = (
    Column("subject", "uuid", is_nullable=False),
    Column("record_key", "text", is_nullable=False),
    Column("event_id", "uuid", is_nullable=False),
    Column("change_kind", "smallint", is_nullable=False),
    Column("previous_event_id", "uuid"),
    Column("effective_from", "timestamptz", is_nullable=False),
    Column("effective_to", "timestamptz"),
    Column("recorded_at", "timestamptz", is_nullable=False),
    Column("known_at", "timestamptz", is_nullable=False),
    Column("partition", "integer", is_nullable=False),
    Column("position", "bigint", is_nullable=False),
    Column("voided_by", "uuid"),
    Column("under_investigation", "text[]", is_nullable=False),
)


def body_columns(record_type: RecordType) -> tuple[Column, ...]:
    """The body's columns, in the contract's order; all nullable, for an event may have no body."""
    return tuple(Column(field["name"], _sql_type(field["type"])) for field in record_type.body["fields"])


def columns(record_type: RecordType) -> tuple[Column, ...]:
    """All columns of a record type's `facts`, in the order of a row."""
    return EVENT_COLUMNS + body_columns(record_type)


def create_views(connection: Connection[Any], record_type: RecordType, *, schema: str | None = None) -> None:
    """Makes the views of a record type, or adds the columns that its contract has gained; harmless when repeated.

    `schema` is the database schema to use in place of the record type's own, for a replay beside the live view.
    """
    place = sql.Identifier(schema or record_type.id)
    names = [sql.Identifier(column.name) for column in body_columns(record_type)]
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (DDL_LOCK,))
        connection.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(place))
        connection.execute(
            statement("facts.sql").format(
                schema=place, columns=sql.SQL(",\n  ").join(_definition(column) for column in EVENT_COLUMNS)
            )
        )
        for column in body_columns(record_type):
            connection.execute(
                sql.SQL("ALTER TABLE {}.facts ADD COLUMN IF NOT EXISTS {}").format(place, _definition(column))
            )
        if record_type.rules_across and not _has_findings(connection):
            connection.execute(statement("findings.sql"))
        connection.execute(
            statement("timeline.sql").format(
                schema=place,
                body=sql.SQL("").join(sql.SQL(", {}").format(n) for n in names),
                under_investigation=_under_investigation(record_type),
            )
        )


def _has_findings(connection: Connection[Any]) -> bool:
    """Whether the table is there: who may not make it, such as an auditor, need not."""
    row = connection.execute("SELECT to_regclass('quality.findings') IS NOT NULL").fetchone()
    return row is not None and bool(row[0])


def _under_investigation(record_type: RecordType) -> sql.Composable:
    """What an event's own rules and its source doubt, and what rules across registers found that is still open."""
    if not record_type.rules_across:
        return sql.Identifier("under_investigation")
    return statement("timeline_across.sql").format(
        record_type=sql.Literal(str(record_type.id)),
        rules=sql.SQL(", ").join(sql.Literal(rule.id) for rule in record_type.rules_across),
    )


def holding_sql(record_type: RecordType, *, as_known: bool, schema: str | None = None) -> sql.Composed:
    """The query for what holds: the timeline's rows, one for each subject and record key, none that says `ceased`.

    Parameters: `subjects` (uuid[]), `at` (timestamptz) and, where `as_known`, `known_at` (timestamptz).
    """
    place = sql.Identifier(schema or record_type.id)
    names = [sql.Identifier(column.name) for column in body_columns(record_type)]
    body = sql.SQL("").join(sql.SQL(", {}").format(name) for name in names)
    return statement("holding_as_known.sql" if as_known else "holding.sql").format(schema=place, body=body)


def _definition(column: Column) -> sql.Composed:
    rule = sql.SQL("") if column.is_nullable else sql.SQL(" NOT NULL")
    return sql.SQL("{} {}{}").format(sql.Identifier(column.name), sql.SQL(column.sql_type), rule)


def statement(name: str) -> sql.SQL:
    """The text of one of the room's SQL files, to be formatted with identifiers."""
    return sql.SQL(files("consumers").joinpath("sql", name).read_text(encoding="utf-8"))


def _sql_type(avro_type: Any) -> LiteralString:
    match avro_type:
        case ["null", inner]:
            return _sql_type(inner)
        case {"logicalType": str(name)} | {"type": str(name)} | str(name):
            return _SQL_TYPES[name]
    raise AssertionError(f"the catalogue let a column type through that views cannot hold: {avro_type}")
