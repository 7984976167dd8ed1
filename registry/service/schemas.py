"""The resources below `/schemas`: schemas by id, whatever their subject names."""

from collections.abc import Sequence
from typing import Any, TypeVar
from uuid import UUID

from registry.service.errors import StoreUnavailableError, invalid_schema, no_such_resource, schema_not_found
from registry.service.http import INT_DIGITS, Call, RawSchema
from registry.service.names import subject_prefix
from registry.service.store import Store, StoredSchema, Version
from registry.service.versions import NUMBER_MAX as INT_MAX
from registry.service.versions import alive

ENTRY = TypeVar("ENTRY")
FORMATS = ("", "default")
SCHEMAS_MAX = 1_000  # of one answer, as in Confluent's registry; `offset` leads to the others


def schema_facts(schema: StoredSchema, call: Call) -> dict[str, Any]:
    """A schema as the API shows it: the type of an Avro schema and an empty list of references are left out.

    Raises ApiError for a format that schemas are not turned into.
    """
    if call.query.get("format", "") not in FORMATS:
        raise invalid_schema(f"Format '{call.query['format']}' is not supported: schemas are shown as they are kept")
    facts: dict[str, Any] = {"guid": schema.guid} if call.takes_more else {}
    facts["schema"] = schema.text
    if schema.references:
        facts["references"] = [
            {"name": reference.name, "subject": reference.subject, "version": reference.version}
            for reference in schema.references
        ]
    return facts


def version_facts(version: Version, schema: StoredSchema, call: Call) -> dict[str, Any]:
    """A version as the API shows it."""
    named = {"subject": version.subject, "version": version.number, "id": version.schema_id}
    return named | schema_facts(schema, call) | ({"deleted": True} if version.is_deleted else {})


def page(entries: Sequence[ENTRY], call: Call, *, entries_max: int | None = None) -> list[ENTRY]:
    """The part of a list that `offset` and `limit` ask for."""
    offset, limit = max(call.number("offset", 0), 0), call.number("limit", -1)
    asked = len(entries) if limit < 0 else limit
    return list(entries[offset : offset + (asked if entries_max is None else min(asked, entries_max))])


def list_schemas(store: Store, call: Call) -> Any:
    """`GET /schemas`: versions with their schemas, by subject name."""
    with store.reading() as tables:
        versions = tables.versions_below(subject_prefix(call.query.get("subjectPrefix", "")))
        if not call.says("deleted"):
            versions = alive(versions)
        if call.says("latestOnly"):
            versions = tuple({version.subject: version for version in versions}.values())
        listed = page(versions, call, entries_max=SCHEMAS_MAX)
        return [version_facts(version, tables.schema_of(version), call) for version in listed]


def get_schema(store: Store, call: Call) -> Any:
    """`GET /schemas/ids/{id}`; `fetchMaxId` asks for the highest id as well."""
    facts = schema_facts(_schema(store, _id(call)), call)
    if call.says("fetchMaxId"):
        with store.reading() as tables:
            facts["maxId"] = tables.id_max()
    return facts


def remembered_schema(store: Store, call: Call) -> Any:
    """What get_schema answers, if it is in memory and surely true; else None."""
    schema = None if call.says("fetchMaxId") else store.cache.fresh(_id(call))
    return None if schema is None else schema_facts(schema, call)


def get_schema_text(store: Store, call: Call) -> Any:
    """`GET /schemas/ids/{id}/schema`: the schema itself."""
    return RawSchema(schema_facts(_schema(store, _id(call)), call)["schema"])


def list_schema_subjects(store: Store, call: Call) -> Any:
    """`GET /schemas/ids/{id}/subjects`: the names that a schema is registered under."""
    return page(list(dict.fromkeys(version.subject for version in _versions(store, call))), call)


def list_schema_versions(store: Store, call: Call) -> Any:
    """`GET /schemas/ids/{id}/versions`: the names and numbers that a schema is registered under."""
    listed = [{"subject": version.subject, "version": version.number} for version in _versions(store, call)]
    return page(listed, call)


def get_schema_by_guid(store: Store, call: Call) -> Any:
    """`GET /schemas/guids/{guid}`."""
    ids = _ids_of_guid(store, call)
    return schema_facts(_schema(store, ids[0]), call)


def list_ids_of_guid(store: Store, call: Call) -> Any:
    """`GET /schemas/guids/{guid}/ids`: the ids of a schema, all in the one context."""
    return [{"context": ".", "id": schema_id} for schema_id in _ids_of_guid(store, call)]


def _ids_of_guid(store: Store, call: Call) -> tuple[int, ...]:
    try:
        guid = UUID(call.path["guid"])
    except ValueError:
        raise schema_not_found(call.path["guid"]) from None
    with store.reading() as tables:
        ids = tables.ids_of_guid(guid)
    if not ids:
        raise schema_not_found(str(guid))
    return ids


def _schema(store: Store, schema_id: int) -> StoredSchema:
    """The schema; while the database is away, as it was known before. Raises ApiError."""
    try:
        with store.reading() as tables:
            schema = tables.schema(schema_id)
    except StoreUnavailableError:
        schema = store.cache.known(schema_id)
        if schema is None:
            raise
    if schema is None:
        raise schema_not_found(schema_id)
    return schema


def _versions(store: Store, call: Call) -> list[Version]:
    schema_id, subject = _id(call), call.query.get("subject", "")
    with store.reading() as tables:
        versions = tables.versions_of_schema(schema_id)
    if not versions:
        raise schema_not_found(schema_id)
    counted = versions if call.says("deleted") else alive(versions)
    return [version for version in counted if subject in ("", version.subject)]


def _id(call: Call) -> int:
    text = call.path["id"]
    if not (text.isascii() and text.isdigit() and len(text) < INT_DIGITS and int(text) <= INT_MAX):
        raise no_such_resource()
    return int(text)
