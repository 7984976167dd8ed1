"""HTTP as the API speaks it: content types, bodies with a limit, encoded names, errors as JSON."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, TypeVar
from urllib.parse import unquote_to_bytes

from pydantic import BaseModel, ValidationError
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from registry.service.errors import ApiError, invalid_subject, malformed, no_such_resource
from registry.service.names import subject_name

BODY_BYTES_MAX = 6_000_000  # the largest schema, every character of it escaped as six
ANSWER_TYPE = "application/vnd.schemaregistry.v1+json"
JSON_TYPES = (ANSWER_TYPE, "application/vnd.schemaregistry+json", "application/json")
BODY_TYPES = frozenset({*JSON_TYPES, "application/octet-stream"})
INT_DIGITS = 11  # one more than any 32-bit number has
MORE_HEADERS = ("confluent-accept-unknown-properties", "confluent-client-version")
MODEL = TypeVar("MODEL", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class RawSchema:
    """An answer that is the schema itself."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request: the names in its path decoded, its query, its body as bytes.

    `takes_more` is what a client says that passes over members it does not know.
    """

    path: Mapping[str, str]
    query: QueryParams
    body: bytes = b""
    takes_more: bool = False

    @property
    def subject(self) -> str:
        """The subject name in the path. Raises ApiError when it cannot be one."""
        return subject_name(self.path["subject"])

    def says(self, name: str) -> bool:
        """Whether a query parameter is true."""
        return self.query.get(name, "").lower() == "true"

    def number(self, name: str, default: int) -> int:
        """A query parameter that is a number. Raises ApiError."""
        text = self.query.get(name, "")
        if not text:
            return default
        digits = text.removeprefix("-")
        if not (digits.isascii() and digits.isdigit() and len(digits) < INT_DIGITS):
            raise no_such_resource()
        return int(text)

    def body_as(self, model: type[MODEL]) -> MODEL:
        """The body. Raises ApiError that names the member at fault."""
        try:
            return model.model_validate_json(self.body)
        except ValidationError as exc:
            first = exc.errors(include_input=False, include_url=False)[0]
            place = ".".join(str(part) for part in first["loc"]) or "body"
            raise malformed(f"Malformed request, {place}: {first['msg']}") from None


async def read_call(request: Request) -> Call:
    """The whole request. Raises ApiError when it is too large or of another type."""
    if request.method in ("POST", "PUT"):
        sent = request.headers.get("content-type", ANSWER_TYPE).partition(";")[0].strip().lower()
        if sent not in BODY_TYPES:
            raise ApiError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, 415, f"Content type '{sent}' is not supported")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > BODY_BYTES_MAX:
            raise ApiError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, 413, f"The body has more than {BODY_BYTES_MAX} bytes")
    path = {name: _decoded(value) for name, value in request.path_params.items()}
    return Call(
        path=path,
        query=request.query_params,
        body=bytes(body),
        takes_more=any(name in request.headers for name in MORE_HEADERS),
    )


def _decoded(encoded: str) -> str:
    try:
        return unquote_to_bytes(encoded).decode()
    except UnicodeDecodeError:
        raise invalid_subject(encoded) from None


def answer_type(request: Request) -> str:
    """The content type that the caller prefers among those that we speak. Raises ApiError when it is none."""
    wanted = [_preference(part) for part in request.headers.get("accept", "*/*").split(",")]
    for _, name in sorted(wanted, key=lambda pair: -pair[0]):
        if name in JSON_TYPES:
            return name
        if name in ("*/*", "application/*", ""):
            return ANSWER_TYPE
    raise ApiError(HTTPStatus.NOT_ACCEPTABLE, 406, f"Acceptable are {', '.join(JSON_TYPES)}")


def _preference(part: str) -> tuple[float, str]:
    name, *parameters = (word.strip().lower() for word in part.split(";"))
    for parameter in parameters:
        if parameter.startswith("q="):
            try:
                return float(parameter[2:]), name
            except ValueError:
                return 0.0, name
    return 1.0, name


def json_answer(facts: Any, *, content_type: str, status: int = HTTPStatus.OK) -> Response:
    """An answer: JSON with letters as they are, or a schema itself."""
    text = facts.text if isinstance(facts, RawSchema) else json.dumps(facts, ensure_ascii=False, separators=(",", ":"))
    return Response(text.encode(), status_code=status, headers={"content-type": content_type})


def error_answer(error: ApiError, *, content_type: str = ANSWER_TYPE) -> Response:
    """An answer that is an error."""
    facts = {"error_code": error.code, "message": error.message}
    return json_answer(facts, content_type=content_type, status=error.status)


class EncodedPaths:
    """Routes by the path as it was sent, so that an encoded slash is part of a name and parts no names."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes the request on."""
        if scope["type"] == "http":
            sent = scope.get("raw_path", scope["path"].encode()).decode("latin-1")
            scope = {**scope, "path": sent.rstrip("/") or "/"}
        await self._app(scope, receive, send)
