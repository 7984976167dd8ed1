"""An HTTP door with `/metrics` and `/healthz` beside it; its requests are counted and timed by route."""

import time
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from functools import cache
from typing import Any

from bus.http.routing import Receive, Scope, Send
from bus.metrics import HEALTH_PATH, METRICS_PATH, Fault, answer, counter, histogram

App = Callable[[Scope, Receive, Send], Awaitable[None]]
OTHER = "other"  # whatever path a stranger tries: a label for each would be a leak and a flood


class Observed:
    """An ASGI application around another; `routes` are the paths and prefixes that may be named in a label."""

    def __init__(self, app: App, *, door: str, routes: Iterable[str], fault: Fault = lambda: None) -> None:
        self._app = app
        self._fault = fault
        self._routes = sorted(routes, key=len, reverse=True)
        requests = counter("yekbar_http_requests", "Requests that were answered.", "door", "route", "status")
        durations = histogram(
            "yekbar_http_request_duration_seconds", "From a request's head to the end of its answer.", "door", "route"
        )
        self._counted = cache(lambda route, status: requests.labels(door, route, status))  # finding one costs more
        self._durations = {route: durations.labels(door, route) for route in [*self._routes, OTHER]}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI 3.0."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
        elif scope["path"] in (METRICS_PATH, HEALTH_PATH):
            await _say(send, *answer(scope["path"], fault=self._fault))
        else:
            await self._observe(scope, receive, send)

    async def _observe(self, scope: Scope, receive: Receive, send: Send) -> None:
        began = time.perf_counter()
        status = "none"

        async def noting(message: MutableMapping[str, Any]) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = str(message["status"])
            await send(message)

        path = scope["path"]
        route = path if path in self._durations else self._route_of(path)
        try:
            await self._app(scope, receive, noting)
        finally:
            self._counted(route, status).inc()
            self._durations[route].observe(time.perf_counter() - began)

    def _route_of(self, path: str) -> str:
        """The longest prefix that a path begins with."""
        return next((one for one in self._routes if one[-1] == "/" and path.startswith(one)), OTHER)


async def _say(send: Send, status: int, media_type: str, body: bytes) -> None:
    headers = [(b"content-type", media_type.encode()), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
