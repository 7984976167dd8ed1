"""Makes the agencies' databases, and fills them with what their clerks wrote."""

from collections.abc import Callable, Iterator, Mapping
from itertools import chain
from typing import Any
from urllib.parse import urlsplit

import psycopg
from psycopg import sql

from consumers.views import body_columns
from deploy.demo.journal import Entry
from deploy.demo.population import Population, Register
from deploy.demo.systems import System, Table
from registry.contracts import RecordType, RecordTypeId

_LINE = (
    ("entry", "bigint"),
    ("event_id", "uuid"),
    ("change_kind", "text"),
    ("previous_event_id", "uuid"),
    ("national_id", "text"),
    ("record_key", "text"),
    ("effective_from", "date"),
    ("effective_to", "date"),
    ("recorded_at", "timestamptz"),
)


def url_of(database_url: str, system: System) -> str:
    """Where a system's database is: on the stack's server, under its own name."""
    return urlsplit(database_url)._replace(path=f"/{system.database}").geturl()


def make_database(
    database_url: str,
    system: System,
    population: Population,
    contracts: Mapping[RecordTypeId, RecordType],
    on_lines: Callable[[int], None] = lambda _: None,
) -> int:
    """Makes a system's database anew, with its tables and all their lines; gives the count of lines."""
    name = sql.Identifier(system.database)
    with psycopg.connect(database_url, autocommit=True) as server:
        server.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(name))
        server.execute(sql.SQL("CREATE DATABASE {}").format(name))
    lines = 0
    with psycopg.connect(url_of(database_url, system)) as connection:
        for table in system.tables:
            register = population.registers[table.record_type]
            count = _fill(connection, table, register, contracts[RecordTypeId(table.record_type)])
            lines += count
            on_lines(count)
    return lines


def _fill(connection: psycopg.Connection[Any], table: Table, register: Register, contract: RecordType) -> int:
    """The journal goes by COPY into a table of its own, and from there into the agency's in the agency's words."""
    connection.execute(table.table.encode())
    body = [(column.name, column.sql_type) for column in body_columns(contract)]
    definitions = sql.SQL(", ").join(
        sql.SQL("{} {}").format(sql.Identifier(name), sql.SQL(kind)) for name, kind in (*_LINE, *body)
    )
    connection.execute(sql.SQL("CREATE TEMPORARY TABLE journal ({}) ON COMMIT DROP").format(definitions))
    count = 0
    with connection.cursor() as cursor, cursor.copy("COPY journal FROM STDIN") as copy:
        for count, row in enumerate(_rows(register, [name for name, _ in body], contract.record_key_field), start=1):
            copy.write_row((count, *row))
    connection.execute(table.fill.encode())
    connection.commit()
    return count


def _rows(register: Register, names: list[str], key_field: str | None) -> Iterator[tuple[Any, ...]]:
    spoilt = (entry for entry, _ in register.spoilt)
    for entry in chain(register.journal, spoilt):
        body: Mapping[str, Any] = entry.body or {}
        yield (*_line(entry, body, key_field), *(body.get(name) for name in names))


def _line(entry: Entry, body: Mapping[str, Any], key_field: str | None) -> tuple[Any, ...]:
    return (
        entry.event_id,
        entry.change_kind.value,
        entry.previous_event_id,
        entry.national_id,
        body.get(key_field, entry.record_key) if key_field else "",
        entry.effective_from,
        entry.effective_to,
        entry.recorded_at,
    )
