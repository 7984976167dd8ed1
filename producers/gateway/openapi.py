"""The OpenAPI 3.1 document of the gateway: a path for each record type, whose body's schema is its contract's."""

from collections.abc import Mapping
from typing import Any

from bus.envelope import ChangeKind
from bus.http.problems import PROBLEM_TYPE
from bus.reasons import Reason
from registry.contracts import Catalogue, RecordType, Severity

INSTANT = {"type": "string", "format": "date-time", "description": "With its offset: 2026-01-31T12:00:00+03:30."}
_PRIMITIVES: Mapping[str, Mapping[str, Any]] = {
    "string": {"type": "string"},
    "int": {"type": "integer", "minimum": -(2**31), "maximum": 2**31 - 1},
    "long": {"type": "integer", "minimum": -(2**63), "maximum": 2**63 - 1},
    "double": {"type": "number"},
    "boolean": {"type": "boolean"},
    "date": {"type": "string", "format": "date"},
    "timestamp-micros": INSTANT,
}
_PROBLEMS = {
    "400": "The body is not JSON, or the address has a query.",
    "401": "The token is missing or refused.",
    "403": "The record type is another agency's.",
    "404": "There is no such record type.",
    "408": "The body did not arrive in time.",
    "413": "The body is too large, or has too many changes.",
    "415": "The body is not application/json.",
    "422": "The array is empty; or the only change is refused, and for which field.",
    "429": "Too much waits; come again after `Retry-After` seconds.",
    "503": "The broker does not acknowledge; send the same again, with its event_ids, after `Retry-After` seconds.",
}


def document(catalogue: Catalogue, *, changes_max: int) -> dict[str, Any]:
    """The whole document."""
    record_types = catalogue.record_types.values()
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Yekbar gateway",
            "version": "1",
            "description": "Changes to records in; for each its event's id once the log has it, or why not.",
        },
        "tags": [
            {"name": agency.id, "description": agency.title.get("en", agency.id)}
            for agency in catalogue.agencies.values()
        ],
        "paths": {f"/v1/records/{one.id}": {"post": _operation(one, changes_max)} for one in record_types},
        "components": {
            "schemas": {
                **{f"{one.id}.body": body_schema(one) for one in record_types},
                **{f"{one.id}.change": _change(one) for one in record_types},
                "Published": _PUBLISHED,
                "Problem": _PROBLEM,
                "RefusedChange": _REFUSED,
                "Results": _RESULTS,
            },
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
        },
    }


def body_schema(record_type: RecordType) -> dict[str, Any]:
    """The JSON schema of a record type's body."""
    titles = {field.name: field.title for field in record_type.fields}
    properties = {}
    for field in record_type.body["fields"]:
        said = {"title": titles[field["name"]]["en"]} if "en" in titles.get(field["name"], {}) else {}
        said |= {"description": field["doc"]} if field.get("doc") else {}
        properties[field["name"]] = {**json_schema(field["type"]), **said}
    return {
        "type": "object",
        "description": _described(record_type),
        "properties": properties,
        "required": [field["name"] for field in record_type.body["fields"] if not isinstance(field["type"], list)],
        "additionalProperties": False,
    }


def json_schema(avro_type: Any) -> dict[str, Any]:
    """The JSON schema of the values that an Avro type takes here."""
    match avro_type:
        case ["null", inner]:
            schema = json_schema(inner)
            nullable = {**schema, "type": [schema["type"], "null"]}
            return {**nullable, "enum": [*schema["enum"], None]} if "enum" in schema else nullable
        case {"type": "enum", "symbols": symbols}:
            return {"type": "string", "enum": list(symbols)}
        case {"type": "array", "items": items}:
            return {"type": "array", "items": json_schema(items)}
        case {"logicalType": str(name)} | {"type": str(name)} | str(name):
            return dict(_PRIMITIVES[name])
    raise AssertionError(f"the catalogue let a type through that has no JSON schema: {avro_type}")


def _described(record_type: RecordType) -> str:
    rules = [f"`{rule.check}`" for rule in record_type.rules if rule.severity is Severity.REFUSE and rule.check]
    said = [record_type.body.get("doc", "")]
    if record_type.record_key_field is not None:
        said.append(f"One of several of a person's, told apart by `{record_type.record_key_field}`.")
    if rules:
        said.append(f"Refused unless {' and '.join(rules)}.")
    return " ".join(filter(None, said))


def _change(record_type: RecordType) -> dict[str, Any]:
    fields = [field["name"] for field in record_type.body["fields"]]
    body = {"$ref": f"#/components/schemas/{record_type.id}.body"}
    return {
        "type": "object",
        "properties": {
            **_ENVELOPE,
            "under_investigation": {
                "type": "array",
                "items": {"type": "string", "enum": fields},
                "description": "Fields of the body that the agency itself doubts.",
            },
            "body": {
                "anyOf": [body, {"type": "null"}],
                "description": "Absent for `annulled`, and may be for `ceased`.",
            },
        },
        "required": ["national_id", "change_kind", "effective_from"],
        "additionalProperties": False,
    }


def _operation(record_type: RecordType, changes_max: int) -> dict[str, Any]:
    change = {"$ref": f"#/components/schemas/{record_type.id}.change"}
    many = {"type": "array", "items": change, "minItems": 1, "maxItems": changes_max}
    published = {"oneOf": [_reference("Results"), _reference("Published")]}
    problem = {PROBLEM_TYPE: {"schema": _reference("Problem")}}
    problems: dict[str, Any] = {
        status: {"description": meaning, "content": problem} for status, meaning in _PROBLEMS.items()
    }
    for status in ("429", "503"):
        problems[status]["headers"] = {"Retry-After": {"schema": {"type": "integer"}}}
    return {
        "operationId": f"publish.{record_type.id}",
        "summary": f"Changes to records of the type {record_type.title.get('en', record_type.id)}.",
        "tags": [record_type.agency],
        "security": [{"token": []}],
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": {"oneOf": [change, many]}}},
        },
        "responses": {
            "200": {
                "description": "The log has what was accepted; a result for the object, or for each of the array.",
                "content": {"application/json": {"schema": published}},
            },
            **problems,
        },
    }


def _reference(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


_ID = {"type": "string", "format": "uuid"}
_ENVELOPE: Mapping[str, Any] = {
    "event_id": {**_ID, "description": "Yours. The same change sent again under it is not published twice."},
    "national_id": {"type": "string", "description": "Of the person; digits of any script."},
    "change_kind": {"type": "string", "enum": [str(kind) for kind in ChangeKind]},
    "effective_from": {**INSTANT, "description": "From when the fact holds in the world, with its offset."},
    "effective_to": {**INSTANT, "type": ["string", "null"], "description": "Until when, where that is known."},
    "recorded_at": {**INSTANT, "description": "When the agency recorded it; without it, now."},
    "record_key": {"type": "string", "description": "Where there is no body: the key of the record."},
    "previous_event_id": {**_ID, "type": ["string", "null"], "description": "What is corrected or annulled."},
}
_PUBLISHED: Mapping[str, Any] = {
    "type": "object",
    "properties": {"event_id": _ID, "status": {"type": "string", "enum": ["published", "repeated"]}},
    "required": ["event_id", "status"],
}
_PROBLEM: Mapping[str, Any] = {
    "type": "object",
    "description": "RFC 9457.",
    "properties": {
        "type": {"type": "string", "format": "uri"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
    },
    "required": ["type", "title", "status"],
}
_REFUSED: Mapping[str, Any] = {
    "allOf": [
        _reference("Problem"),
        {
            "type": "object",
            "properties": {
                "reason": {"type": "string", "enum": [str(reason) for reason in Reason]},
                "field": {"type": "string", "description": "The field at fault; never its value."},
                "rule": {"type": "string", "description": "The quality rule that is broken, if it is one."},
            },
            "required": ["reason", "field"],
        },
    ]
}
_RESULTS: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "results": {
            "type": "array",
            "description": "One for each change, in their order.",
            "items": {"oneOf": [_reference("Published"), _reference("RefusedChange")]},
        }
    },
    "required": ["results"],
}
