"""The resources below `/subjects`: schemas by subject name and version."""

from typing import Any

from registry.service.bodies import SchemaBody
from registry.service.deleting import delete_subject, delete_version
from registry.service.errors import subject_not_found
from registry.service.http import Call, RawSchema
from registry.service.names import subject_prefix
from registry.service.registering import find, register
from registry.service.schemas import page, version_facts
from registry.service.store import Store, Tables, Version
from registry.service.versions import alive, chosen, parsed_number


def list_subjects(store: Store, call: Call) -> Any:
    """`GET /subjects`: the names that schemas are registered under."""
    with store.reading() as tables:
        versions = tables.versions_below(subject_prefix(call.query.get("subjectPrefix", "")))
    there = dict.fromkeys(version.subject for version in alive(versions))
    everything = dict.fromkeys(version.subject for version in versions)
    if call.says("deletedOnly"):
        return page([subject for subject in everything if subject not in there], call)
    return page(list(everything if call.says("deleted") else there), call)


def look_up(store: Store, call: Call) -> Any:
    """`POST /subjects/{subject}`: the version that is this schema."""
    candidate = call.body_as(SchemaBody).candidate(call)
    with store.reading() as tables:
        version = find(tables, call.subject, candidate, with_deleted=call.says("deleted"))
        return version_facts(version, tables.schema_of(version), call)


def delete(store: Store, call: Call) -> Any:
    """`DELETE /subjects/{subject}`: all versions of a name."""
    return delete_subject(store, call.subject, is_permanent=call.says("permanent"))


def delete_one(store: Store, call: Call) -> Any:
    """`DELETE /subjects/{subject}/versions/{version}`: one version of a name."""
    number = parsed_number(call.path["version"])
    return delete_version(store, call.subject, number, is_permanent=call.says("permanent"))


def register_version(store: Store, call: Call) -> Any:
    """`POST /subjects/{subject}/versions`: registers a schema."""
    version = register(store, call.subject, call.body_as(SchemaBody).candidate(call))
    if not call.takes_more:
        return {"id": version.schema_id}
    with store.reading() as tables:
        return {"id": version.schema_id, "version": version.number, "guid": tables.schema_of(version).guid}


def list_versions(store: Store, call: Call) -> Any:
    """`GET /subjects/{subject}/versions`: the version numbers."""
    with store.reading() as tables:
        versions = tables.versions(call.subject)
    if call.says("deletedOnly"):
        versions = tuple(version for version in versions if version.is_deleted)
    elif not call.says("deleted"):
        versions = alive(versions)
    if not versions:
        raise subject_not_found(call.subject)
    return page([version.number for version in versions], call)


def get_version(store: Store, call: Call) -> Any:
    """`GET /subjects/{subject}/versions/{version}`: a version with its schema."""
    with store.reading() as tables:
        version = _asked(tables, call, with_deleted=call.says("deleted"))
        return version_facts(version, tables.schema_of(version), call)


def get_version_schema(store: Store, call: Call) -> Any:
    """`GET /subjects/{subject}/versions/{version}/schema`: a version's schema itself."""
    return RawSchema(get_version(store, call)["schema"])


def list_referencing(store: Store, call: Call) -> Any:
    """`GET /subjects/{subject}/versions/{version}/referencedby`: the ids of the schemas that refer to a version."""
    with store.reading() as tables:
        version = _asked(tables, call, with_deleted=True)
        users = tables.users_of(version, with_deleted=call.says("deleted"))
    return page(list(dict.fromkeys(user.schema_id for user in users)), call)


def _asked(tables: Tables, call: Call, *, with_deleted: bool) -> Version:
    number = parsed_number(call.path["version"])
    return chosen(tables.versions(call.subject), call.subject, number, with_deleted=with_deleted)
