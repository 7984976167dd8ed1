"""The resources below `/compatibility`: whether a schema might be registered, without registering it."""

from typing import Any

from registry.service.bodies import SchemaBody
from registry.service.errors import ApiError, subject_not_found, version_not_found
from registry.service.http import Call
from registry.service.registering import problems
from registry.service.store import Store, Version
from registry.service.versions import LATEST, alive, parsed_number

INVALID_SCHEMA = 42201


def compare_with_all(store: Store, call: Call) -> Any:
    """`POST /compatibility/subjects/{subject}/versions`: with what registering would compare it with."""
    return _compared(store, call, number=None)


def compare_with_version(store: Store, call: Call) -> Any:
    """`POST /compatibility/subjects/{subject}/versions/{version}`: with one version."""
    return _compared(store, call, number=parsed_number(call.path["version"]))


def _compared(store: Store, call: Call, *, number: int | None) -> Any:
    body = call.body_as(SchemaBody)
    with store.reading() as tables:
        versions = _chosen(alive(tables.versions(call.subject)), call.subject, number)
        try:
            found = problems(tables, call.subject, body.candidate(call), versions)
        except ApiError as exc:
            if exc.code != INVALID_SCHEMA or not call.says("verbose"):
                raise
            found = (exc.message,)
    facts: dict[str, Any] = {"is_compatible": not found}
    return facts | {"messages": list(found)} if call.says("verbose") else facts


def _chosen(versions: tuple[Version, ...], subject: str, number: int | None) -> tuple[Version, ...]:
    """Nothing is compared where nothing is registered; only a version that is asked for by its number must be there."""
    if number is None:
        return versions
    if number == LATEST:
        return versions[-1:]
    named = tuple(version for version in versions if version.number == number)
    if not named:
        raise version_not_found(number) if versions else subject_not_found(subject)
    return named
