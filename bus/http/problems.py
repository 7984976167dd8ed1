"""Errors as their callers see them: problem details (RFC 9457). None of them repeats what the caller sent."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from pydantic import ValidationError
from pydantic_core import to_json

PROBLEM_TYPE = "application/problem+json"
FIELD_CHARS_MAX = 40
Headers = tuple[tuple[bytes, bytes], ...]

_ALWAYS: Headers = (
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """What goes back to a caller."""

    status: int
    body: bytes
    media_type: str = "application/json"
    headers: Headers = ()

    def all_headers(self) -> Headers:
        """The headers as they are sent."""
        length = b"%d" % len(self.body)
        return (
            (b"content-type", self.media_type.encode()),
            (b"content-length", length),
            *_ALWAYS,
            *self.headers,
        )


class Kind(StrEnum):
    """What went wrong; the last part of a problem's type."""

    MALFORMED_HTTP = "malformed-http"
    HEAD_TOO_LARGE = "head-too-large"
    MALFORMED_JSON = "malformed-json"
    INVALID_REQUEST = "invalid-request"
    INVALID_NATIONAL_ID = "invalid-national-id"
    QUERY_NOT_ALLOWED = "query-not-allowed"
    BODY_TOO_LARGE = "body-too-large"
    BODY_TOO_SLOW = "body-too-slow"
    UNSUPPORTED_MEDIA_TYPE = "unsupported-media-type"
    UNAUTHENTICATED = "unauthenticated"
    NOT_PERMITTED = "not-permitted"
    NO_SUCH_PROCEDURE = "no-such-procedure"
    NOT_FOUND = "not-found"
    METHOD_NOT_ALLOWED = "method-not-allowed"
    NO_SUCH_RECORD_TYPE = "no-such-record-type"
    TOO_MANY_REQUESTS = "too-many-requests"
    BUSY = "busy"
    UNAVAILABLE = "unavailable"
    FAULT = "fault"


_TOLD: Mapping[Kind, tuple[int, str]] = {
    Kind.MALFORMED_HTTP: (400, "This is not HTTP."),
    Kind.HEAD_TOO_LARGE: (431, "The head of the request is too large."),
    Kind.MALFORMED_JSON: (400, "The body is not JSON."),
    Kind.INVALID_REQUEST: (422, "The request has wrong fields."),
    Kind.INVALID_NATIONAL_ID: (422, "The national id is not valid."),
    Kind.QUERY_NOT_ALLOWED: (400, "The address must have no query: a person is named in the body only."),
    Kind.BODY_TOO_LARGE: (413, "The body is too large."),
    Kind.BODY_TOO_SLOW: (408, "The body did not arrive in time."),
    Kind.UNSUPPORTED_MEDIA_TYPE: (415, "The body must be application/json."),
    Kind.UNAUTHENTICATED: (401, "The access token is missing or refused."),
    Kind.NOT_PERMITTED: (403, "This is not permitted."),
    Kind.NO_SUCH_PROCEDURE: (404, "The catalogue has no such procedure."),
    Kind.NOT_FOUND: (404, "There is nothing here."),
    Kind.METHOD_NOT_ALLOWED: (405, "The method is not allowed here."),
    Kind.NO_SUCH_RECORD_TYPE: (404, "The catalogue has no such record type."),
    Kind.TOO_MANY_REQUESTS: (429, "Too much waits already; come again."),
    Kind.BUSY: (503, "Too many requests wait; come again."),
    Kind.UNAVAILABLE: (503, "No answer can be given now; come again."),
    Kind.FAULT: (500, "The service failed."),
}
RETRY_AFTER: Headers = ((b"retry-after", b"1"),)


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One error; `more` are members of its own."""

    kind: Kind
    detail: str | None = None
    headers: Headers = ()
    more: Mapping[str, Any] = field(default_factory=dict)

    def response(self) -> Response:
        """The response that tells it."""
        status, title = _TOLD[self.kind]
        detail = {"detail": self.detail} if self.detail else {}
        told = {"type": f"urn:yekbar:problem:{self.kind.value}", "title": title, "status": status, **detail}
        return Response(
            status=status, body=to_json({**told, **self.more}), media_type=PROBLEM_TYPE, headers=self.headers
        )


def of_invalid(exc: ValidationError) -> Problem:
    """The problem of a body that is no request; names fields, and a field we do not know only by its place."""
    wrong = exc.errors(include_input=False, include_url=False, include_context=False)
    if wrong[0]["type"] == "json_invalid":
        return Problem(kind=Kind.MALFORMED_JSON)
    errors = [
        {"field": "" if one["type"] == "extra_forbidden" else _path(one["loc"]), "message": _message(one)}
        for one in wrong
    ]
    return Problem(kind=Kind.INVALID_REQUEST, more={"errors": errors})


def _path(loc: tuple[int | str, ...]) -> str:
    return ".".join(str(part) for part in loc)[:FIELD_CHARS_MAX]


def _message(one: Any) -> str:
    if one["type"] == "extra_forbidden":
        return "there is a field that is not known"
    return str(one["msg"]).removeprefix("Value error, ")
