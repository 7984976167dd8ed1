"""HTTP without a framework: reads a bounded body from ASGI, finds the route, writes the response.

A plain function a route keeps the way of a request short; a framework's part of it costs more than the answer.
"""

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any

import structlog

from bus.http.errors import place_of
from bus.http.problems import Kind, Problem, Response
from bus.http.tls import CLIENT_CERTIFICATE

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

BODY_BYTES_MAX = 16 << 10  # a request names one person and three short texts

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request, its body read; `rest` is what follows the route's prefix in the path.

    `certificate` is the thumbprint of the certificate that the caller has proved to have, on this very connection.
    """

    method: str
    path: str
    query: bytes = field(repr=False)
    headers: Mapping[bytes, bytes]
    body: bytes = field(repr=False)
    rest: str = ""
    certificate: str | None = None

    @property
    def accept_language(self) -> bytes:
        """The languages that the caller reads."""
        return self.headers.get(b"accept-language", b"")


Route = Callable[[Request], Awaitable[Response]]
Admit = Callable[[Request], Awaitable[None]]


class Refused(Exception):  # noqa: N818 - it carries a response, it is no fault of ours
    """A request that is answered with a problem."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.kind)
        self.problem = problem


class Router:
    """Finds the route of a request: by its path, or by the longest prefix that ends with a slash; '/' is itself alone.

    `admit` may refuse a request that brings a body before the body is read.
    """

    def __init__(
        self,
        routes: Mapping[str, Mapping[str, Route]],
        *,
        body_bytes_max: int = BODY_BYTES_MAX,
        admit: Admit | None = None,
    ) -> None:
        self._routes = routes
        self._body_bytes_max = body_bytes_max
        self._admit = admit

    async def respond(self, scope: Scope, receive: Receive) -> Response:
        """The response to a request, whatever happens to it."""
        try:
            methods, rest = self._find(scope["path"])
            route = methods.get(scope["method"])
            if route is None:
                allowed = ", ".join(methods).encode()
                raise Refused(Problem(kind=Kind.METHOD_NOT_ALLOWED, headers=((b"allow", allowed),)))
            body = b""
            if scope["method"] == "POST":
                if self._admit is not None:
                    await self._admit(_request(scope, rest, body))
                body = await _body(receive, self._body_bytes_max)
            return await route(_request(scope, rest, body))
        except Refused as exc:
            return exc.problem.response()
        except Exception as exc:  # the outermost place: whatever it is, the caller gets no data, and we hear of it
            log.error("request_failed", fault=type(exc).__name__, place=place_of(exc))
            return Problem(kind=Kind.FAULT).response()

    def _find(self, path: str) -> tuple[Mapping[str, Route], str]:
        found = self._routes.get(path)
        if found is not None:
            return found, ""
        prefix, slash, rest = path.rpartition("/")
        found = self._routes.get(prefix + slash) if prefix and rest else None
        if found is None:
            raise Refused(Problem(kind=Kind.NOT_FOUND))
        return found, rest


async def send_response(response: Response, send: Send) -> None:
    """Writes a response to the wire."""
    await send({"type": "http.response.start", "status": response.status, "headers": response.all_headers()})
    await send({"type": "http.response.body", "body": response.body})


def _request(scope: Scope, rest: str, body: bytes) -> Request:
    return Request(
        method=scope["method"],
        path=scope["path"],
        query=scope["query_string"],
        headers=dict(scope["headers"]),
        body=body,
        rest=rest,
        certificate=scope.get(CLIENT_CERTIFICATE),
    )


async def _body(receive: Receive, bytes_max: int) -> bytes:
    """The whole body; one that is too large is refused before it is in memory, and the server ends one too slow."""
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Refused(Problem(kind=Kind.BODY_TOO_SLOW))
        part = message.get("body", b"")
        size += len(part)
        if size > bytes_max:
            raise Refused(Problem(kind=Kind.BODY_TOO_LARGE))
        parts.append(part)
        if not message.get("more_body"):
            return b"".join(parts)
