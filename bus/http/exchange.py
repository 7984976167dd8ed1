"""One request and its answer on a connection, as ASGI sees them."""

import asyncio
from collections.abc import Iterable, MutableMapping
from http import HTTPStatus
from typing import Any, Protocol

_STATUS_LINES = {one.value: f"HTTP/1.1 {one.value} {one.phrase}\r\n".encode() for one in HTTPStatus}

Header = tuple[bytes, bytes]


class Line(Protocol):
    """The connection that an exchange is part of."""

    @property
    def default_headers(self) -> Iterable[Header]:
        """The headers of every answer."""

    def write(self, data: bytes) -> None:
        """Sends bytes to the caller."""

    def finish(self, exchange: "Exchange") -> None:
        """The answer was written."""

    def check_flow(self) -> None:
        """Reads on while there is room."""


class Exchange:
    """Takes a request's body as it comes, and gives the answer as a whole: none here is long enough for parts."""

    def __init__(self, line: Line, *, scope: dict[str, Any], is_last: bool, must_go_on: bool) -> None:
        self._line = line
        self._must_go_on = must_go_on
        self._waiter: asyncio.Future[None] | None = None
        self._head: tuple[int, Iterable[Header]] | None = None
        self._is_complete = self._is_lost = self._is_told = False
        self.scope = scope
        self.body = b""  # what came and was not taken
        self.is_last = is_last
        self.is_answered = False
        self.task: asyncio.Task[None] | None = None

    # the connection's side

    def take(self, body: bytes) -> None:
        """A part of the body came."""
        self.body += body
        self._wake()

    def complete(self) -> None:
        """The body is whole."""
        self._is_complete = True
        self._wake()

    def lose(self) -> None:
        """The rest of the body will not come, or the caller has gone."""
        self._is_lost = True
        self.is_last = True
        self._wake()

    # the application's side

    async def receive(self) -> dict[str, Any]:
        """ASGI's `receive`."""
        if self._must_go_on:
            self._must_go_on = False
            self._line.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        while not (self._is_lost or self.body or (self._is_complete and not self._is_told)):
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        if self._is_lost:
            return {"type": "http.disconnect"}
        body, self.body = self.body, b""
        self._is_told = self._is_complete
        if not self._is_told:
            self._line.check_flow()
        return {"type": "http.request", "body": body, "more_body": not self._is_told}

    async def send(self, message: MutableMapping[str, Any]) -> None:
        """ASGI's `send`."""
        if self._head is None:
            self._head = (message["status"], message.get("headers", ()))
        elif self.is_answered or message.get("more_body"):
            raise NotImplementedError("an answer is sent once, and whole")
        else:
            self.answer(*self._head, message.get("body", b""))

    def answer(self, status: int, headers: Iterable[Header], body: bytes) -> None:
        """Gives the answer; the last one where the rest of the request is not waited for."""
        self.is_last = self.is_last or not self._is_complete
        closing = [(b"connection", b"close")] if self.is_last else []
        head = head_bytes(status, [*self._line.default_headers, *headers, *closing])
        self.is_answered = True
        self._line.write(head if self.scope["method"] == "HEAD" else head + body)
        self._line.finish(self)

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


def head_bytes(status: int, headers: Iterable[Header]) -> bytes:
    """The head of an answer as it is sent. Raises ValueError for a header that would be two."""
    lines = [b"%b: %b\r\n" % one for one in headers]
    head = b"".join(lines)
    if head.count(b"\n") != len(lines) or head.count(b"\r") != len(lines):
        raise ValueError("a header has a line break")
    return b"%b%b\r\n" % (_STATUS_LINES[status], head)
