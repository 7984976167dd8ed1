"""Registers schemas, finds registered ones, and says whether one might be registered."""

from collections.abc import Sequence
from dataclasses import dataclass

from registry.compatibility import AvroText, incompatibilities
from registry.service.avro_schemas import REFERENCES_MAX, CheckedSchema, Reference, checked_schema
from registry.service.errors import (
    incompatible,
    invalid_schema,
    not_permitted,
    schema_not_found,
    subject_not_found,
)
from registry.service.settings import level_of, mode_of
from registry.service.store import Store, StoredSchema, Tables, Version
from registry.service.versions import next_number


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A schema that somebody sends; `id` and `version` are given only where one is imported."""

    text: str
    references: tuple[Reference, ...] = ()
    id: int | None = None
    version: int | None = None
    is_normalized: bool = False


def register(store: Store, subject: str, candidate: Candidate) -> int:
    """The id of a schema under a subject name, given to it now or before. Raises ApiError.

    What is registered already needs no writer's lock, and is answered in every mode.
    """
    with store.reading() as tables:
        schema = check(tables, candidate)
        known = _registered(tables, subject, schema)
    if known is not None and candidate.version is None and candidate.id in (None, known.schema_id):
        return known.schema_id
    with store.writing() as tables:
        mode_of(tables, subject).check_register(subject, is_import=candidate.id is not None)
        if candidate.id is not None:
            return _import(tables, subject, candidate, candidate.id)
        return _add(tables, subject, candidate)


def _add(tables: Tables, subject: str, candidate: Candidate) -> int:
    schema = check(tables, candidate)
    known = _registered(tables, subject, schema)
    if known is not None:
        return known.schema_id
    versions = tables.versions(subject)
    _check_compatible(tables, subject, schema, versions)
    number = next_number(versions)
    if candidate.version not in (None, number):
        raise invalid_schema(f"Version {candidate.version} is not one more than the previous version, {number - 1}")
    schema_id = min(tables.ids_of(schema.digest), default=None) or tables.add_schema(schema)
    tables.remove([v for v in versions if v.is_deleted and v.schema_id == schema_id and not _is_used(tables, v)])
    tables.add_version(Version(subject=subject, number=number, schema_id=schema_id, is_deleted=False))
    return schema_id


def _registered(tables: Tables, subject: str, schema: CheckedSchema) -> Version | None:
    ids = tables.ids_of(schema.digest)
    for version in reversed(tables.versions(subject) if ids else ()):
        if version.schema_id in ids and not version.is_deleted:
            return version
    return None


def _import(tables: Tables, subject: str, candidate: Candidate, schema_id: int) -> int:
    schema = check(tables, candidate)
    taken_by = tables.digest_of(schema_id)
    if taken_by is None:
        tables.add_schema(schema, schema_id)
    elif taken_by != schema.digest:
        raise not_permitted(f"Overwrite new schema with id {schema_id} is not permitted.")
    versions = tables.versions(subject)
    if candidate.version is None and any(v.schema_id == schema_id and not v.is_deleted for v in versions):
        return schema_id
    number = candidate.version or next_number(versions)
    tables.add_version(Version(subject=subject, number=number, schema_id=schema_id, is_deleted=False))
    return schema_id


def find(tables: Tables, subject: str, candidate: Candidate, *, with_deleted: bool) -> Version:
    """The version of a subject name that is this schema. Raises ApiError when there is none."""
    versions = [v for v in tables.versions(subject) if with_deleted or not v.is_deleted]
    if not versions:
        raise subject_not_found(subject)
    ids = tables.ids_of(check(tables, candidate).digest)
    for version in reversed(versions):
        if version.schema_id in ids:
            return version
    raise schema_not_found()


def problems(tables: Tables, subject: str, candidate: Candidate, versions: Sequence[Version]) -> tuple[str, ...]:
    """What forbids a schema after these versions, under the subject name's compatibility level."""
    return _problems(tables, subject, check(tables, candidate), versions)


def check(tables: Tables, candidate: Candidate) -> CheckedSchema:
    """The schema, with what it refers to. Raises ApiError."""
    return checked_schema(
        candidate.text,
        candidate.references,
        used=_used_texts(tables, candidate.references),
        is_normalized=candidate.is_normalized,
    )


def _check_compatible(tables: Tables, subject: str, schema: CheckedSchema, versions: Sequence[Version]) -> None:
    found = _problems(tables, subject, schema, versions)
    if found:
        raise incompatible(subject, "; ".join(found))


def _problems(tables: Tables, subject: str, schema: CheckedSchema, versions: Sequence[Version]) -> tuple[str, ...]:
    level = level_of(tables, subject)
    counted = [v for v in versions if not v.is_deleted]
    new = AvroText(schema=schema.text, references=_used_texts(tables, schema.references))
    earlier = [_avro_text(tables, v.schema_id) for v in (counted if level.is_transitive else counted[-1:])]
    found = [str(problem) for problem in incompatibilities(new, earlier, level)]
    return (*found, f"{{compatibility: '{level}'}}") if found else ()


def _avro_text(tables: Tables, schema_id: int) -> AvroText:
    schema = tables.schema(schema_id)
    assert schema is not None, "a version's schema exists"
    return AvroText(schema=schema.text, references=_used_texts(tables, schema.references))


def _used_texts(tables: Tables, references: Sequence[Reference]) -> tuple[str, ...]:
    """The texts of what references lead to, directly or not: each once, after those that it uses itself."""
    texts: dict[tuple[str, int], str | None] = {}

    def follow(references: Sequence[Reference]) -> None:
        for reference in references:
            place = (reference.subject, reference.version)
            if place in texts:
                continue
            if len(texts) >= REFERENCES_MAX:
                raise invalid_schema(f"Invalid schema: it refers to more than {REFERENCES_MAX} schemas")
            schema = _referenced(tables, reference)
            texts[place] = None  # begun: what leads back here must not begin again
            follow(schema.references)
            del texts[place]
            texts[place] = schema.text

    follow(references)
    return tuple(text for text in texts.values() if text is not None)


def _referenced(tables: Tables, reference: Reference) -> StoredSchema:
    for version in tables.versions(reference.subject):
        if version.number == reference.version:
            schema = tables.schema(version.schema_id)
            assert schema is not None, "a version's schema exists"
            return schema
    raise invalid_schema(
        f"Invalid schema: No schema reference found for subject '{reference.subject}' and version {reference.version}"
    )


def _is_used(tables: Tables, version: Version) -> bool:
    return bool(tables.ids_that_use(version.subject, version.number, with_deleted=True))
