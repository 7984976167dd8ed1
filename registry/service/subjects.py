"""The resources below `/subjects`: schemas by subject name and version."""

from typing import Any

from registry.service.bodies import SchemaBody
from registry.service.errors import subject_not_found
from registry.service.http import Call, RawSchema
from registry.service.registering import find, register
from registry.service.schemas import page, schema_facts
from registry.service.store import Store, Tables, Version
from registry.service.versions import chosen, parsed_number


def list_subjects(store: Store, call: Call) -> Any:
    """`GET /subjects`: the names that schemas are registered under."""
    with store.reading() as tables:
        versions = tables.versions_below(_prefix(call.query.get("subjectPrefix", "")))
    if call.says("deletedOnly"):
        alive = {version.subject for version in versions if not version.is_deleted}
        listed = [version.subject for version in versions if version.subject not in alive]
    else:
        listed = [version.subject for version in versions if call.says("deleted") or not version.is_deleted]
    return page(list(dict.fromkeys(listed)), call)


def _prefix(asked: str) -> str:
    """The prefix without the default context, which is the only one and which no name carries."""
    return asked.removeprefix(":*:").removeprefix(":.:")


def look_up(store: Store, call: Call) -> Any:
    """`POST /subjects/{subject}`: the version that is this schema."""
    candidate = call.body_as(SchemaBody).candidate(is_normalized=call.says("normalize"))
    with store.reading() as tables:
        version = find(tables, call.subject, candidate, with_deleted=call.says("deleted"))
        return _version_facts(tables, version)


def register_version(store: Store, call: Call) -> Any:
    """`POST /subjects/{subject}/versions`: registers a schema."""
    candidate = call.body_as(SchemaBody).candidate(is_normalized=call.says("normalize"))
    return {"id": register(store, call.subject, candidate)}


def list_versions(store: Store, call: Call) -> Any:
    """`GET /subjects/{subject}/versions`: the version numbers."""
    with store.reading() as tables:
        versions = tables.versions(call.subject)
    if call.says("deletedOnly"):
        versions = tuple(version for version in versions if version.is_deleted)
    elif not call.says("deleted"):
        versions = tuple(version for version in versions if not version.is_deleted)
    if not versions:
        raise subject_not_found(call.subject)
    return page([version.number for version in versions], call)


def get_version(store: Store, call: Call) -> Any:
    """`GET /subjects/{subject}/versions/{version}`: a version with its schema."""
    with store.reading() as tables:
        return _version_facts(tables, _asked(tables, call, with_deleted=call.says("deleted")))


def get_version_schema(store: Store, call: Call) -> Any:
    """`GET /subjects/{subject}/versions/{version}/schema`: a version's schema itself."""
    return RawSchema(get_version(store, call)["schema"])


def list_referencing(store: Store, call: Call) -> Any:
    """`GET /subjects/{subject}/versions/{version}/referencedby`: the ids of the schemas that refer to a version."""
    with store.reading() as tables:
        version = _asked(tables, call, with_deleted=True)
        ids = tables.ids_that_use(version.subject, version.number, with_deleted=call.says("deleted"))
    return page(ids, call)


def _asked(tables: Tables, call: Call, *, with_deleted: bool) -> Version:
    number = parsed_number(call.path["version"])
    return chosen(tables.versions(call.subject), call.subject, number, with_deleted=with_deleted)


def _version_facts(tables: Tables, version: Version) -> dict[str, Any]:
    schema = tables.schema(version.schema_id)
    assert schema is not None, "a version's schema exists"
    named = {"subject": version.subject, "version": version.number, "id": version.schema_id}
    return named | schema_facts(schema)
