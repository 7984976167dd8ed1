"""The OpenAPI 3.1 document of the evidence API, made from the models that its bodies are checked with."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from bus.http.problems import PROBLEM_TYPE
from consumers.evidence.linked_data import LD_TYPE
from consumers.evidence.models import (
    Accesses,
    EvidenceAnswer,
    EvidenceAnswers,
    EvidenceRequest,
    PersonRequest,
    Problem,
    ProcedureDescription,
    Procedures,
)

_MODELS: Sequence[type[BaseModel]] = (
    EvidenceRequest,
    EvidenceAnswer,
    EvidenceAnswers,
    PersonRequest,
    Accesses,
    Problem,
    Procedures,
    ProcedureDescription,
)
_REF = "#/components/schemas/{model}"


def document(version: str = "1") -> dict[str, Any]:
    """The whole document."""
    _, schemas = models_json_schema([(model, "serialization") for model in _MODELS], ref_template=_REF)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Yekbar evidence",
            "version": version,
            "description": "A procedure and a person in; every piece of evidence it requires out, or why not.",
        },
        "paths": {
            "/v1/evidence": {"post": _evidence()},
            "/v1/me/accesses": {"get": _own_list()},
            "/v1/procedures": {
                "get": _operation("Every procedure of the catalogue.", Procedures, problems=(), is_linked=True)
            },
            "/v1/procedures/{procedure}": {
                "get": {
                    **_operation(
                        "A procedure with all that it requires.", ProcedureDescription, problems=(404,), is_linked=True
                    ),
                    "parameters": [{"name": "procedure", "in": "path", "required": True, "schema": {"type": "string"}}],
                }
            },
        },
        "components": {
            "schemas": schemas["$defs"],
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
        },
    }


def _evidence() -> dict[str, Any]:
    described = _operation(
        "The evidence that a procedure requires about a person.",
        EvidenceAnswer,
        problems=(400, 401, 403, 404, 408, 413, 415, 422, 503),
    )
    language = {
        "name": "Accept-Language",
        "in": "header",
        "required": False,
        "schema": {"type": "string", "enum": ["en", "fa"]},
    }
    body = {"required": True, "content": {"application/json": {"schema": _reference(EvidenceRequest)}}}
    either = {"oneOf": [_reference(EvidenceAnswer), _reference(EvidenceAnswers)]}
    described["responses"]["200"]["content"]["application/json"]["schema"] = either
    return {**described, "parameters": [language], "requestBody": body, "security": [{"token": []}]}


def _own_list() -> dict[str, Any]:
    described = _operation("Who asked about the citizen who calls.", Accesses, problems=(401, 403, 422, 503))
    parameters = [
        {"name": "before", "in": "query", "required": False, "schema": {"type": "string", "format": "uuid"}},
        {"name": "limit", "in": "query", "required": False, "schema": {"type": "integer", "default": 50}},
    ]
    return {**described, "parameters": parameters, "security": [{"token": []}]}


def _operation(
    summary: str, answer: type[BaseModel], *, problems: Sequence[int], is_linked: bool = False
) -> dict[str, Any]:
    content: dict[str, Any] = {"application/json": {"schema": _reference(answer)}}
    if is_linked:
        content[LD_TYPE] = {"schema": {"type": "object", "description": "CPSV-AP 3.2 and CCCEV 2.1."}}
    good: Mapping[str, Any] = {"200": {"description": summary, "content": content}}
    bad = {
        str(status): {"description": "A problem.", "content": {PROBLEM_TYPE: {"schema": _reference(Problem)}}}
        for status in problems
    }
    return {"summary": summary, "responses": {**good, **bad}}


def _reference(model: type[BaseModel]) -> dict[str, str]:
    return {"$ref": _REF.format(model=model.__name__)}
