"""HTTP/1.1 for uvicorn's server: parsed by httptools, bounded in every part, an answer in one write. ASGI inside.

uvicorn's own protocol takes longer over a request than the evidence API does, and bounds neither the head of a request
nor the time that it may take. Here requests that a caller sends in a row are answered in their order, one at a time.
"""

import asyncio
from collections import deque
from typing import Any
from urllib.parse import unquote

import httptools
import structlog
from uvicorn import Config
from uvicorn.server import ServerState

from bus.http.errors import place_of
from bus.http.exchange import Exchange, Header, head_bytes
from bus.http.problems import RETRY_AFTER, Kind, Problem
from bus.http.tls import CLIENT_CERTIFICATE, peer_thumbprint

HEAD_BYTES_MAX = 16 << 10  # a token of 8 KiB is the longest part that anybody needs
BUFFERED_BYTES_MAX = 64 << 10  # of a body that nobody has taken yet; then the caller must wait
MESSAGE_TIMEOUT_S = 10  # from the first byte of a request to its last
IDLE_TIMEOUT_S = 75  # between two requests
WRITE_TIMEOUT_S = 10  # for a caller to take an answer
LINGER_S = 2  # for a caller to read why the rest of a request is not read
CONNECTIONS_MAX = 8_192  # a process's; an idle one costs a few kilobytes and must keep nobody out

_ASGI = {"version": "3.0", "spec_version": "2.3"}

log = structlog.get_logger()


class HttpProtocol(asyncio.Protocol):
    """One connection. Its arguments are those that uvicorn gives to a protocol."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self._app = config.loaded_app
        self._scheme = "https" if config.is_ssl else "http"
        self._server = server_state
        self._app_state = app_state
        self._loop = _loop or asyncio.get_running_loop()
        self._parser: Any = httptools.HttpRequestParser(self)  # of a library without types
        self._waiting: deque[Exchange] = deque()  # whole heads, in their order; the first is being answered
        self._incoming: Exchange | None = None  # the one whose body arrives
        self._url = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._must_go_on = False
        self._head_bytes = 0
        self._has_begun = False  # a part of a request came
        self._is_ending = False  # nothing that comes is read any more
        self._hears_no_more = self._is_gone = False
        self._is_reading = self._is_writable = True
        self._deadline = self._loop.time() + IDLE_TIMEOUT_S
        self._timer = self._loop.call_at(self._deadline, self._look_at_clock)

    # asyncio's side

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # it is a stream's
        """Takes the connection, or refuses one too many."""
        self._transport = transport
        self._certificate = peer_thumbprint(transport)
        self._server.connections.add(self)  # type: ignore[arg-type]  # uvicorn names its own protocols only
        if len(self._server.connections) > CONNECTIONS_MAX:
            self._refuse(Problem(kind=Kind.BUSY, headers=RETRY_AFTER))

    def connection_lost(self, _: Exception | None) -> None:
        """Tells those who still work for it that the caller has gone."""
        self._server.connections.discard(self)
        self._timer.cancel()
        self._is_ending = self._is_gone = True
        for exchange in self._waiting:
            exchange.lose()
        self._parser = None  # it holds us as we hold it

    def eof_received(self) -> bool:
        """The caller sends no more, and may still read: what was asked is answered."""
        self._hears_no_more = True
        self._drop_incoming()
        return bool(self._waiting)

    def data_received(self, data: bytes) -> None:
        """Parses what came."""
        if self._is_ending:
            return
        if self._incoming is None:
            self._head_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._refuse(Problem(kind=Kind.MALFORMED_HTTP))
        else:
            if self._head_bytes > HEAD_BYTES_MAX:
                self._refuse(Problem(kind=Kind.HEAD_TOO_LARGE))

    def pause_writing(self) -> None:
        """The caller reads too slowly."""
        self._is_writable = False
        self._wait_no_longer_than(WRITE_TIMEOUT_S)

    def resume_writing(self) -> None:
        """The caller has read."""
        self._is_writable = True
        self._go_on()

    def shutdown(self) -> None:
        """Ends the connection when what was asked is answered; the server says so when it ends."""
        self._is_ending = True
        if not self._waiting:
            self._transport.close()

    # httptools' side

    def on_message_begin(self) -> None:
        """The first byte of a request."""
        self._has_begun = True
        self._url, self._headers, self._must_go_on = b"", [], False
        self._wait_no_longer_than(MESSAGE_TIMEOUT_S)

    def on_url(self, url: bytes) -> None:
        """A part of the address."""
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header."""
        name = name.lower()
        self._headers.append((name, value))
        if name == b"expect":
            self._must_go_on = value.lower() == b"100-continue"

    def on_headers_complete(self) -> None:
        """A whole head: its request waits for its turn, or is begun."""
        self._head_bytes = 0
        is_last = not self._parser.should_keep_alive()
        exchange = Exchange(self, scope=self._scope(), is_last=is_last, must_go_on=self._must_go_on)
        self._incoming = exchange
        self._waiting.append(exchange)
        if len(self._waiting) == 1:
            self._begin(exchange)

    def on_body(self, body: bytes) -> None:
        """A part of a body."""
        if self._incoming is not None:
            self._incoming.take(body)
            if len(self._incoming.body) > BUFFERED_BYTES_MAX:
                self.check_flow()

    def on_message_complete(self) -> None:
        """A whole request."""
        self._has_begun = False
        if self._incoming is not None:
            self._incoming.complete()
            self._incoming = None
            if len(self._waiting) > 1 or not self._is_reading:
                self.check_flow()

    # the exchanges' side

    def write(self, data: bytes) -> None:
        """Sends bytes to the caller, if there still is one."""
        if not self._transport.is_closing():
            self._transport.write(data)

    def finish(self, exchange: Exchange) -> None:
        """The answer to the first request was written."""
        if self._is_gone:
            return
        self._waiting.popleft()
        if exchange.is_last or exchange is self._incoming or (self._is_ending and not self._waiting):
            self._linger()  # what comes yet is not read: the rest of a body would be taken for a request
        else:
            self._go_on()

    def check_flow(self) -> None:
        """Reads on while there is room for what comes."""
        has_room = len(self._waiting) <= 1 and (
            self._incoming is None or len(self._incoming.body) <= BUFFERED_BYTES_MAX
        )
        if has_room is not self._is_reading and not self._transport.is_closing():
            self._is_reading = has_room
            (self._transport.resume_reading if has_room else self._transport.pause_reading)()

    @property
    def default_headers(self) -> list[Header]:
        """The headers of every answer: the date."""
        return self._server.default_headers

    # our own

    def _scope(self) -> dict[str, Any]:
        url = httptools.parse_url(self._url)
        raw_path = url.path or b"/"
        path = raw_path.decode("ascii")
        return {
            "type": "http",
            "asgi": _ASGI,
            "http_version": "1.1",
            "scheme": self._scheme,
            "method": self._parser.get_method().decode("ascii"),
            "path": unquote(path) if "%" in path else path,
            "raw_path": raw_path,
            "root_path": "",
            "query_string": url.query or b"",
            "headers": self._headers,
            "client": self._transport.get_extra_info("peername"),
            "state": self._app_state,
            "extensions": {"transport": self._transport},
            CLIENT_CERTIFICATE: self._certificate,
        }

    def _begin(self, exchange: Exchange) -> None:
        exchange.task = self._loop.create_task(self._run(exchange))

    async def _run(self, exchange: Exchange) -> None:
        try:
            await self._app(exchange.scope, exchange.receive, exchange.send)
        except Exception as exc:  # the outermost place: the caller gets no data, and we hear of it
            log.error("request_failed", fault=type(exc).__name__, place=place_of(exc))
        if not exchange.is_answered and not self._is_gone:
            exchange.is_last = True
            fault = Problem(kind=Kind.FAULT).response()
            exchange.answer(fault.status, fault.all_headers(), fault.body)

    def _go_on(self) -> None:
        """Begins what waits, or waits for the next."""
        if not self._is_writable:
            return
        if not self._is_reading:
            self.check_flow()
        if self._waiting:
            if self._waiting[0].task is None:
                self._begin(self._waiting[0])
        elif not self._has_begun:
            self._wait_no_longer_than(IDLE_TIMEOUT_S)

    def _refuse(self, problem: Problem) -> None:
        """Reads no more, and tells why, unless an earlier request is still to be answered."""
        self._drop_incoming()
        if not self._waiting:
            response = problem.response()
            headers = [*self.default_headers, *response.all_headers(), (b"connection", b"close")]
            self.write(head_bytes(response.status, headers) + response.body)
            self._linger()

    def _drop_incoming(self) -> None:
        """Reads no more; a request of which a part is missing is not answered as if it were whole."""
        self._is_ending = True
        if self._incoming is not None and self._incoming.task is not None:
            self._incoming.lose()  # it is being answered: with a problem
        elif self._incoming is not None:
            self._waiting.pop()
        self._incoming = None
        if self._waiting:
            self._waiting[-1].is_last = True

    def _linger(self) -> None:
        """Closes our side, and theirs soon after: a connection closed on unread bytes loses the answer."""
        self._is_ending = True
        self._incoming = None
        if self._transport.can_write_eof() and not self._hears_no_more and not self._transport.is_closing():
            self._transport.write_eof()
            self._wait_no_longer_than(LINGER_S)
        else:
            self._transport.close()

    def _wait_no_longer_than(self, seconds: float) -> None:
        self._deadline = self._loop.time() + seconds
        if self._timer.when() > self._deadline:
            self._timer.cancel()
            self._timer = self._loop.call_at(self._deadline, self._look_at_clock)

    def _look_at_clock(self) -> None:
        """Ends what took too long; a deadline that has moved on is looked at again."""
        now = self._loop.time()
        if now >= self._deadline:
            self._deadline = now + MESSAGE_TIMEOUT_S
            if not self._is_writable or (self._is_ending and not self._waiting):
                self._transport.abort()
            elif self._has_begun and not self._is_ending:
                self._refuse(Problem(kind=Kind.BODY_TOO_SLOW))
            elif not self._waiting:
                self._transport.close()
        if not self._is_gone:
            self._timer = self._loop.call_at(self._deadline, self._look_at_clock)
