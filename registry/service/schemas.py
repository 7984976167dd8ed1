"""The resources below `/schemas`: schemas by id, whatever their subject names."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from registry.service.errors import ApiError, StoreUnavailableError, schema_not_found
from registry.service.http import Call, RawSchema
from registry.service.store import Store, StoredSchema, Version

PAGE_MAX = 10_000  # entries of one answer; `offset` leads to the others


def schema_facts(schema: StoredSchema) -> dict[str, Any]:
    """A schema as the API shows it: the type of an Avro schema and an empty list of references are left out."""
    facts: dict[str, Any] = {"schema": schema.text}
    if schema.references:
        facts["references"] = [
            {"name": reference.name, "subject": reference.subject, "version": reference.version}
            for reference in schema.references
        ]
    return facts


def page(entries: Sequence[Any], call: Call) -> list[Any]:
    """The part of a list that `offset` and `limit` ask for."""
    offset, limit = max(call.number("offset", 0), 0), call.number("limit", -1)
    return list(entries[offset : offset + (PAGE_MAX if limit < 0 else min(limit, PAGE_MAX))])


def list_types(store: Store, call: Call) -> Any:  # noqa: ARG001  # all operations are called alike
    """`GET /schemas/types`."""
    return ["AVRO"]


def get_schema(store: Store, call: Call) -> Any:
    """`GET /schemas/ids/{id}`."""
    return schema_facts(_schema(store, call))


def get_schema_text(store: Store, call: Call) -> Any:
    """`GET /schemas/ids/{id}/schema`: the schema itself."""
    return RawSchema(_schema(store, call).text)


def list_schema_subjects(store: Store, call: Call) -> Any:
    """`GET /schemas/ids/{id}/subjects`: the names that a schema is registered under."""
    return page(list(dict.fromkeys(version.subject for version in _versions(store, call))), call)


def list_schema_versions(store: Store, call: Call) -> Any:
    """`GET /schemas/ids/{id}/versions`: the names and numbers that a schema is registered under."""
    listed = [{"subject": version.subject, "version": version.number} for version in _versions(store, call)]
    return page(listed, call)


def _schema(store: Store, call: Call) -> StoredSchema:
    schema_id = _id(call)
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
    with store.reading() as tables:
        versions = tables.versions_of_schema(_id(call))
    if not versions:
        raise schema_not_found(call.path["id"])
    subject = call.query.get("subject")
    with_deleted = call.says("deleted")
    return [v for v in versions if (with_deleted or not v.is_deleted) and subject in (None, "", v.subject)]


def _id(call: Call) -> int:
    text = call.path["id"]
    if not (text.isascii() and text.isdigit()) or int(text[:11]) > 2**31 - 1:
        raise ApiError(HTTPStatus.NOT_FOUND, 404, "HTTP 404 Not Found")
    return int(text)
