"""What the registry keeps in PostgreSQL: every query, and nothing that decides.

Writers take one lock, so that two services over one database decide one after the other and never give two ids.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, LiteralString

from psycopg import sql

from registry.service.avro_schemas import CheckedSchema, Reference
from registry.service.cache import SchemaCache
from registry.service.connections import Connection, Connections

WRITERS_LOCK = 0x59656B62  # the advisory lock of all writers of the registry in one database
GLOBAL = ""  # the subject name whose settings hold where a subject name has none of its own


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredSchema:
    """A schema that has an id."""

    id: int
    text: str
    references: tuple[Reference, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """A schema under a subject name."""

    subject: str
    number: int
    schema_id: int
    is_deleted: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What is set for a subject name itself; None where the global setting holds."""

    compatibility: str | None = None
    mode: str | None = None


class Tables:
    """The tables of the registry, on one connection."""

    def __init__(self, connection: Connection, cache: SchemaCache[StoredSchema]) -> None:
        self._connection = connection
        self._cache = cache

    def schema(self, schema_id: int) -> StoredSchema | None:
        """The schema of an id; None when it never was, or when its last version was deleted permanently."""
        stored = self._cache.fresh(schema_id)
        if stored is None:
            stored = self._read_schema(schema_id)
            self._cache.remember(schema_id, stored, size=len(stored.text) if stored else 0)
        return stored

    def _read_schema(self, schema_id: int) -> StoredSchema | None:
        row = self._row(
            "SELECT text FROM schema_registry.schemas AS s WHERE id = %s"
            " AND EXISTS (SELECT FROM schema_registry.versions WHERE schema_id = s.id)",
            schema_id,
        )
        return None if row is None else StoredSchema(id=schema_id, text=row[0], references=self._references(schema_id))

    def _references(self, schema_id: int) -> tuple[Reference, ...]:
        rows = self._rows(
            "SELECT name, subject, version FROM schema_registry.schema_references WHERE schema_id = %s ORDER BY place",
            schema_id,
        )
        return tuple(Reference(name=name, subject=subject, version=version) for name, subject, version in rows)

    def ids_of(self, digest: bytes) -> tuple[int, ...]:
        """The ids that equal schemas were given: one, but for schemas that were imported with their ids."""
        rows = self._rows("SELECT id FROM schema_registry.schemas WHERE digest = %s ORDER BY id", digest)
        return tuple(row[0] for row in rows)

    def digest_of(self, schema_id: int) -> bytes | None:
        """What an id was given to, ever; None when it is free."""
        row = self._row("SELECT digest FROM schema_registry.schemas WHERE id = %s", schema_id)
        return None if row is None else bytes(row[0])

    def add_schema(self, schema: CheckedSchema, schema_id: int | None = None) -> int:
        """Gives a schema an id: the next that never was, or the one that is imported."""
        row = self._row(
            "INSERT INTO schema_registry.schemas (id, digest, text) SELECT coalesce(%s, max(id) + 1, 1), %s, %s"
            " FROM schema_registry.schemas RETURNING id",
            schema_id,
            schema.digest,
            schema.text,
        )
        assert row is not None
        for place, reference in enumerate(schema.references):
            self._connection.execute(
                "INSERT INTO schema_registry.schema_references (schema_id, place, name, subject, version)"
                " VALUES (%s, %s, %s, %s, %s)",
                (row[0], place, reference.name, reference.subject, reference.version),
            )
        return int(row[0])

    def versions(self, subject: str) -> tuple[Version, ...]:
        """All versions of a subject name, deleted ones among them, the oldest first."""
        return self._versions("subject = %s ORDER BY version", subject)

    def versions_of_schema(self, schema_id: int) -> tuple[Version, ...]:
        """Where a schema is registered, deleted versions among them, by subject name."""
        return self._versions("schema_id = %s ORDER BY subject, version", schema_id)

    def versions_below(self, prefix: str) -> tuple[Version, ...]:
        """All versions of the subject names that start so, by subject name."""
        return self._versions("starts_with(subject, %s) ORDER BY subject, version", prefix)

    def _versions(self, where: LiteralString, value: str | int) -> tuple[Version, ...]:
        rows = self._rows(
            "SELECT subject, version, schema_id, is_deleted FROM schema_registry.versions WHERE " + where, value
        )
        return tuple(
            Version(subject=subject, number=number, schema_id=schema_id, is_deleted=is_deleted)
            for subject, number, schema_id, is_deleted in rows
        )

    def ids_that_use(self, subject: str, number: int, *, with_deleted: bool) -> tuple[int, ...]:
        """The ids of the registered schemas that refer to a version."""
        rows = self._rows(
            "SELECT DISTINCT r.schema_id FROM schema_registry.schema_references AS r"
            " JOIN schema_registry.versions AS v USING (schema_id)"
            " WHERE r.subject = %s AND r.version = %s AND (%s OR NOT v.is_deleted) ORDER BY r.schema_id",
            subject,
            number,
            with_deleted,
        )
        return tuple(row[0] for row in rows)

    def setting(self, subject: str) -> Setting:
        """What is set for a subject name itself."""
        row = self._row("SELECT compatibility, mode FROM schema_registry.settings WHERE subject = %s", subject)
        return Setting() if row is None else Setting(compatibility=row[0], mode=row[1])

    def set_setting(self, subject: str, setting: Setting) -> None:
        """Replaces what is set for a subject name itself."""
        self._connection.execute(
            "INSERT INTO schema_registry.settings (subject, compatibility, mode) VALUES (%s, %s, %s)"
            " ON CONFLICT (subject) DO UPDATE SET compatibility = excluded.compatibility, mode = excluded.mode",
            (subject, setting.compatibility, setting.mode),
        )

    def add_version(self, version: Version) -> None:
        """Registers a schema; a version of that number that was there is replaced."""
        self._connection.execute(
            "INSERT INTO schema_registry.versions (subject, version, schema_id) VALUES (%s, %s, %s)"
            " ON CONFLICT (subject, version) DO UPDATE SET schema_id = excluded.schema_id, is_deleted = false",
            (version.subject, version.number, version.schema_id),
        )

    def mark_deleted(self, subject: str, numbers: Sequence[int]) -> None:
        """Deletes versions so that they are still there for who asks for deleted ones."""
        self._connection.execute(
            "UPDATE schema_registry.versions SET is_deleted = true WHERE subject = %s AND version = ANY(%s)",
            (subject, list(numbers)),
        )

    def remove(self, versions: Sequence[Version]) -> None:
        """Deletes versions for ever; the ids of their schemas stay taken."""
        for version in versions:
            self._connection.execute(
                "DELETE FROM schema_registry.versions WHERE subject = %s AND version = %s",
                (version.subject, version.number),
            )
            self._cache.forget(version.schema_id)

    def _rows(self, query: LiteralString, *values: Any) -> list[tuple[Any, ...]]:
        return self._connection.execute(query, values).fetchall()

    def _row(self, query: LiteralString, *values: Any) -> tuple[Any, ...] | None:
        return self._connection.execute(query, values).fetchone()


class Store:
    """The tables in one database, for many threads. The tables are made when they are not there."""

    def __init__(self, database_url: str) -> None:
        self._connections = Connections(database_url, prepare=_make_tables)
        self.cache: SchemaCache[StoredSchema] = SchemaCache()

    @contextmanager
    def reading(self) -> Iterator[Tables]:
        """The tables, each query seeing what was committed last. Raises StoreUnavailableError."""
        with self._connections.connection() as connection:
            yield Tables(connection, self.cache)

    @contextmanager
    def writing(self) -> Iterator[Tables]:
        """The tables for one writer alone, in one transaction. Raises StoreUnavailableError."""
        with self._connections.connection() as connection, connection.transaction():
            connection.execute("SELECT pg_advisory_xact_lock(%s)", (WRITERS_LOCK,))
            yield Tables(connection, self.cache)

    def close(self) -> None:
        """Closes the connections."""
        self._connections.close()


def _make_tables(connection: Connection) -> None:
    if connection.execute("SELECT to_regclass('schema_registry.settings')").fetchone() != (None,):
        return
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (WRITERS_LOCK,))
        connection.execute(_statement("tables.sql"))


def _statement(name: str) -> sql.SQL:
    return sql.SQL(files("registry").joinpath("sql", name).read_text(encoding="utf-8"))
