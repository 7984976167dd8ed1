"""What the registry keeps in PostgreSQL: every query, and nothing that decides.

Writers take one lock, so that two services over one database decide one after the other and never give two ids.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, LiteralString
from uuid import UUID

from psycopg import sql

from registry.service.avro_schemas import CheckedSchema, Reference
from registry.service.cache import SchemaCache
from registry.service.connections import Connection, Connections

WRITERS_LOCK = 0x59656B62  # the advisory lock of all writers of the registry in one database
GLOBAL = ""  # the subject name whose settings hold where a subject name has none of its own
UUID_BYTES = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredSchema:
    """A schema that has an id."""

    id: int
    text: str
    references: tuple[Reference, ...]
    digest: bytes

    @property
    def guid(self) -> str:
        """What names the schema in every registry: equal schemas have equal ones."""
        return str(UUID(bytes=self.digest[:UUID_BYTES]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """A schema under a subject name."""

    subject: str
    number: int
    schema_id: int
    is_deleted: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What is set for a subject name itself; None where the global setting holds."""

    compatibility: str | None = None
    normalize: bool | None = None
    mode: str | None = None


class Tables:
    """The tables of the registry, on one connection."""

    def __init__(self, connection: Connection, cache: SchemaCache[StoredSchema]) -> None:
        self._connection = connection
        self._cache = cache
        self.maybe_gone: set[int] = set()

    def schema(self, schema_id: int) -> StoredSchema | None:
        """The schema of an id; None when it never was, or when its last version was deleted permanently."""
        stored = self._cache.fresh(schema_id)
        if stored is not None:
            return stored
        is_there = self._row("SELECT FROM schema_registry.versions WHERE schema_id = %s LIMIT 1", schema_id)
        if is_there is None:
            self._cache.forget(schema_id)
            return None
        return self._remembered(schema_id)

    def schema_of(self, version: Version) -> StoredSchema:
        """The schema of a version that is there, or was a moment ago: schemas are never removed."""
        return self._cache.known(version.schema_id) or self._remembered(version.schema_id)

    def _remembered(self, schema_id: int) -> StoredSchema:
        row = self._row("SELECT text, digest FROM schema_registry.schemas WHERE id = %s", schema_id)
        assert row is not None, "a version's schema exists"
        text, digest = row
        stored = StoredSchema(id=schema_id, text=text, references=self._references(schema_id), digest=bytes(digest))
        self._cache.remember(schema_id, stored, size=len(text))
        return stored

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

    def ids_of_guid(self, guid: UUID) -> tuple[int, ...]:
        """The ids of the registered schemas with a guid."""
        rows = self._rows(
            "SELECT DISTINCT s.id FROM schema_registry.schemas AS s JOIN schema_registry.versions AS v"
            " ON v.schema_id = s.id WHERE s.digest >= %s AND substr(s.digest, 1, 16) = %s ORDER BY s.id",
            guid.bytes,
            guid.bytes,
        )
        return tuple(row[0] for row in rows)

    def digest_of(self, schema_id: int) -> bytes | None:
        """What an id was given to, ever; None when it is free."""
        row = self._row("SELECT digest FROM schema_registry.schemas WHERE id = %s", schema_id)
        return None if row is None else bytes(row[0])

    def id_max(self) -> int:
        """The highest id that was ever given; 0 when none was."""
        row = self._row("SELECT coalesce(max(id), 0) FROM schema_registry.schemas")
        assert row is not None
        return int(row[0])

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

    def users_of(self, version: Version, *, with_deleted: bool) -> tuple[Version, ...]:
        """The versions whose schemas refer to a version, by their schemas' ids."""
        rows = self._rows(
            "SELECT DISTINCT v.subject, v.version, v.schema_id, v.is_deleted"
            " FROM schema_registry.schema_references AS r JOIN schema_registry.versions AS v USING (schema_id)"
            " WHERE r.subject = %s AND r.version = %s AND (%s OR NOT v.is_deleted) ORDER BY v.schema_id",
            version.subject,
            version.number,
            with_deleted,
        )
        return tuple(
            Version(subject=subject, number=number, schema_id=schema_id, is_deleted=is_deleted)
            for subject, number, schema_id, is_deleted in rows
        )

    def add_version(self, version: Version) -> Version:
        """Registers a schema; a version of that number that was there is replaced."""
        self._connection.execute(
            "INSERT INTO schema_registry.versions (subject, version, schema_id) VALUES (%s, %s, %s)"
            " ON CONFLICT (subject, version) DO UPDATE SET schema_id = excluded.schema_id, is_deleted = false",
            (version.subject, version.number, version.schema_id),
        )
        return version

    def mark_deleted(self, versions: Sequence[Version]) -> None:
        """Deletes versions so that they are still there for who asks for deleted ones."""
        for version in versions:
            self._connection.execute(
                "UPDATE schema_registry.versions SET is_deleted = true WHERE subject = %s AND version = %s",
                (version.subject, version.number),
            )

    def remove(self, versions: Sequence[Version]) -> None:
        """Deletes versions for ever; the ids of their schemas stay taken."""
        for version in versions:
            self._connection.execute(
                "DELETE FROM schema_registry.versions WHERE subject = %s AND version = %s",
                (version.subject, version.number),
            )
            self.maybe_gone.add(version.schema_id)

    def setting(self, subject: str) -> Setting:
        """What is set for a subject name itself."""
        row = self._row(
            "SELECT compatibility, normalize, mode FROM schema_registry.settings WHERE subject = %s", subject
        )
        return Setting() if row is None else Setting(compatibility=row[0], normalize=row[1], mode=row[2])

    def set_setting(self, subject: str, setting: Setting) -> None:
        """Replaces what is set for a subject name itself."""
        self._connection.execute(
            "INSERT INTO schema_registry.settings (subject, compatibility, normalize, mode) VALUES (%s, %s, %s, %s)"
            " ON CONFLICT (subject) DO UPDATE SET compatibility = excluded.compatibility,"
            " normalize = excluded.normalize, mode = excluded.mode",
            (subject, setting.compatibility, setting.normalize, setting.mode),
        )

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
        with self._connections.connection() as connection:
            tables = Tables(connection, self.cache)
            with connection.transaction():
                connection.execute("SELECT pg_advisory_xact_lock(%s)", (WRITERS_LOCK,))
                yield tables
            for schema_id in tables.maybe_gone:
                self.cache.forget(schema_id)

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
