"""Registers schemas, finds registered ones, and says whether one might be registered."""

from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from registry.compatibility import incompatibilities
from registry.service.avro_schemas import CheckedSchema, Reference, checked_schema
from registry.service.errors import incompatible, invalid_schema, not_permitted, schema_not_found, subject_not_found
from registry.service.references import avro_text, pinned, used_texts
from registry.service.settings import is_normalizing, level_of, mode_of
from registry.service.store import Store, Tables, Version
from registry.service.versions import NUMBER_MAX, alive, next_number

log = structlog.get_logger()
PROBLEMS_TOLD_MAX = 50  # of one schema, in one answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A schema that somebody sends. `id` is given only where one is imported; `is_forced` compares it with nothing."""

    text: str
    references: tuple[Reference, ...] = ()
    id: int | None = None
    version: int | None = None
    is_normalized: bool = False
    is_forced: bool = False


def register(store: Store, subject: str, candidate: Candidate) -> Version:
    """A schema under a subject name, put there now or before. Raises ApiError.

    What is registered already needs no writer's lock, and is answered in every mode.
    """
    with store.reading() as tables:
        known = _registered(tables, subject, checked(tables, subject, candidate))
    if known is not None and candidate.version is None and candidate.id in (None, known.schema_id):
        return known
    with store.writing() as tables:
        mode_of(tables, subject).check_register(subject, is_import=candidate.id is not None)
        schema = checked(tables, subject, candidate, is_new=True)
        if candidate.id is not None:
            version = _import(tables, subject, candidate, schema, candidate.id)
        else:
            version = _add(tables, subject, candidate, schema)
    log.info("schema_registered", subject_name=subject, version=version.number, schema_id=version.schema_id)
    return version


def _add(tables: Tables, subject: str, candidate: Candidate, schema: CheckedSchema) -> Version:
    known = _registered(tables, subject, schema)
    if known is not None:
        return known
    versions = tables.versions(subject)
    found = () if candidate.is_forced else _problems(tables, subject, schema, alive(versions))
    if found:
        raise incompatible(subject, "; ".join(found))
    number = next_number(versions)
    if candidate.version not in (None, number):
        raise invalid_schema(f"Version {candidate.version} is not one more than the previous version, {number - 1}")
    schema_id = _id_of(tables, schema)
    # A deleted version of the same schema lives on in the new one, unless others refer to it by its number.
    tables.remove([v for v in versions if v.schema_id == schema_id and not _is_used(tables, v)])
    return tables.add_version(Version(subject=subject, number=number, schema_id=schema_id))


def _id_of(tables: Tables, schema: CheckedSchema) -> int:
    """The id of the schema, also where its last version was deleted; else a new one."""
    ids = tables.ids_of(schema.digest)
    if not ids and tables.id_max() >= NUMBER_MAX:
        raise not_permitted(f"No id is left: {NUMBER_MAX} was imported")
    return ids[0] if ids else tables.add_schema(schema)


def _import(tables: Tables, subject: str, candidate: Candidate, schema: CheckedSchema, schema_id: int) -> Version:
    taken_by = tables.digest_of(schema_id)
    if taken_by is None:
        tables.add_schema(schema, schema_id)
    elif taken_by != schema.digest:
        raise not_permitted(f"Overwrite new schema with id {schema_id} is not permitted.")
    versions = tables.versions(subject)
    for version in alive(versions) if candidate.version is None else ():
        if version.schema_id == schema_id:
            return version
    number = candidate.version or next_number(versions)
    return tables.add_version(Version(subject=subject, number=number, schema_id=schema_id))


def find(tables: Tables, subject: str, candidate: Candidate, *, with_deleted: bool) -> Version:
    """The version of a subject name that is this schema. Raises ApiError when there is none."""
    versions = tables.versions(subject) if with_deleted else alive(tables.versions(subject))
    if not versions:
        raise subject_not_found(subject)
    ids = tables.ids_of(checked(tables, subject, candidate).digest)
    for version in reversed(versions):
        if version.schema_id in ids:
            return version
    raise schema_not_found()


def problems(tables: Tables, subject: str, candidate: Candidate, versions: Sequence[Version]) -> tuple[str, ...]:
    """What forbids a schema after these versions, under the subject name's compatibility level. Raises ApiError."""
    return _problems(tables, subject, checked(tables, subject, candidate), versions)


def checked(tables: Tables, subject: str, candidate: Candidate, *, is_new: bool = False) -> CheckedSchema:
    """The schema that may be kept. A new one may not refer to a deleted version. Raises ApiError."""
    references = pinned(tables, candidate.references, with_deleted=not is_new)
    used = used_texts(tables, references)
    schema = checked_schema(candidate.text, references, used=used)
    return schema.normalized() if candidate.is_normalized or is_normalizing(tables, subject) else schema


def _registered(tables: Tables, subject: str, schema: CheckedSchema) -> Version | None:
    ids = tables.ids_of(schema.digest)
    versions = alive(tables.versions(subject)) if ids else ()
    return next((version for version in reversed(versions) if version.schema_id in ids), None)


def _problems(tables: Tables, subject: str, schema: CheckedSchema, versions: Sequence[Version]) -> tuple[str, ...]:
    level = level_of(tables, subject)
    new = avro_text(tables, schema.text, schema.references)
    found = []
    for version in versions if level.is_transitive else versions[-1:]:
        stored = tables.schema_of(version)
        earlier = avro_text(tables, stored.text, stored.references)
        found += [f"version {version.number}: {problem}" for problem in incompatibilities(new, [earlier], level)]
    if not found:
        return ()
    left_out = [f"and {len(found) - PROBLEMS_TOLD_MAX} more"] if len(found) > PROBLEMS_TOLD_MAX else []
    return (*found[:PROBLEMS_TOLD_MAX], *left_out, f"{{compatibility: '{level}'}}")


def _is_used(tables: Tables, version: Version) -> bool:
    return bool(tables.users_of(version, with_deleted=True))
