"""Composes event schemas: the one envelope of all events around a contract's body (Avro 1.12 specification)."""

import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from registry.contracts import RecordType
from registry.errors import ContractError

BODY_FIELD = "body"
PRIMITIVES = frozenset({"string", "int", "long", "boolean", "double"})
# Columns that consumers keep beside the body's: a field of the same name could not be told from them.
RESERVED = frozenset({"has_body", "known_at", "partition", "position", "voided_by", "ceased", "key"})
LOGICAL_TYPES = frozenset({("long", "timestamp-micros"), ("int", "date")})


@cache
def _envelope_text() -> str:
    return files("schemas").joinpath("envelope.avsc").read_text(encoding="utf-8")


def envelope_fields() -> list[dict[str, Any]]:
    """The fields that every event has before its body; a fresh copy at each call."""
    fields: list[dict[str, Any]] = json.loads(_envelope_text())["fields"]
    return fields


def event_name(record_type_id: str) -> str:
    """The full name of the event record: `civil-registry.life-status` becomes `civil_registry.LifeStatusEvent`."""
    agency, _, kind = record_type_id.partition(".")
    return f"{agency.replace('-', '_')}.{_pascal(kind)}Event"


def event_schema(record_type: RecordType) -> dict[str, Any]:
    """The Avro schema of a record type's events. Raises ContractError when the body cannot be read in columns."""
    check_body(record_type.body)
    namespace, _, name = event_name(record_type.id).rpartition(".")
    envelope = json.loads(_envelope_text())
    shared = [_in_namespace(field, envelope["namespace"]) for field in envelope["fields"]]
    body = {"name": BODY_FIELD, "type": ["null", dict(record_type.body)], "default": None}
    return {"type": "record", "name": name, "namespace": namespace, "fields": [*shared, body]}


def check_body(body: Mapping[str, Any]) -> None:
    """Raises ContractError at the first field whose type the columnar reader does not take or whose name is taken."""
    taken = {field["name"] for field in envelope_fields()} | RESERVED | {BODY_FIELD}
    for field in body["fields"]:
        if field["name"] in taken:
            raise ContractError(
                f"body field '{field['name']}' has a name that the bus itself uses", remedy="choose another name"
            )
        if not _is_readable(field["type"]):
            raise ContractError(
                f"body field '{field['name']}' has the type {json.dumps(field['type'])}, which contracts may not use",
                remedy="use string, int, long, boolean, double, enum, date, timestamp-micros, an array of strings, "
                "or one of them (but no enum) in a union after null",
            )


def _is_readable(avro_type: Any) -> bool:
    match avro_type:
        case ["null", dict() | str() as inner]:
            return _is_readable(inner) and not (isinstance(inner, dict) and inner.get("type") == "enum")
        case str():
            return avro_type in PRIMITIVES
        case {"type": "array", "items": "string"} | {"type": "enum", "symbols": [*_]}:
            return True
        case {"type": str(primitive), "logicalType": str(logical)}:
            return (primitive, logical) in LOGICAL_TYPES
        case {"type": str(primitive)}:
            return primitive in PRIMITIVES
    return False


def _in_namespace(field: Mapping[str, Any], namespace: str) -> dict[str, Any]:
    """The field with its named types in the envelope's namespace, so that all record types share them."""

    def placed(avro_type: Any) -> Any:
        if isinstance(avro_type, list):
            return [placed(branch) for branch in avro_type]
        if isinstance(avro_type, dict) and "name" in avro_type:
            return {**avro_type, "namespace": namespace}
        return avro_type

    return {**field, "type": placed(field["type"])}


def _pascal(kind: str) -> str:
    return "".join(word.capitalize() for word in kind.split("-"))
