"""Serves an ASGI application over HTTP until it is told to stop: uvicorn's server, our own protocol."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from uvicorn.supervisors import Multiprocess

from bus.errors import BusError
from bus.http.protocol import HttpProtocol
from bus.http.tls import TlsSettings

BACKLOG = 1_024  # connections that wait to be accepted
ENDING_TIMEOUT_S = 15  # for answers that are under way; longer than the longest that is allowed


class PortTakenError(BusError):
    """The port cannot be listened on: another process does, or the address is not of this machine."""

    exit_code = 71  # EX_OSERR of sysexits.h


class Server(uvicorn.Server):
    """uvicorn's server; a signal ends it, and leaves the process to end as it likes."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Ends with SIGTERM and SIGINT, where this thread may hear them."""
        with super().capture_signals():
            yield
            self._captured_signals.clear()


def serve(factory: str, *, host: str, port: int, workers: int = 1, tls: TlsSettings | None = None) -> None:
    """Serves what a factory makes, named as `module:function`, from so many processes. Raises PortTakenError."""
    with listening(host, port) as taken:
        if workers == 1:
            server(factory, tls=tls).run(sockets=[taken])
        else:
            many = server(factory, workers=workers, tls=tls)
            Multiprocess(many.config, sockets=[taken]).run()


def server(app: Any, *, workers: int = 1, tls: TlsSettings | None = None) -> Server:
    """A server for an application, or for the name of its factory; give its `run` or `serve` the socket."""
    return Server(
        uvicorn.Config(
            app,
            factory=isinstance(app, str),
            http=HttpProtocol,
            loop="uvloop",
            lifespan="on",
            ws="none",
            workers=workers,
            proxy_headers=False,
            server_header=False,
            date_header=True,
            access_log=False,  # a log of addresses is a log of what people ask
            log_config=None,
            backlog=BACKLOG,
            timeout_graceful_shutdown=ENDING_TIMEOUT_S,
            **(tls.server_options() if tls else {}),
        )
    )


@contextmanager
def listening(host: str, port: int) -> Iterator[socket.socket]:
    """A socket that listens. Raises PortTakenError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        taken = socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as exc:
        raise PortTakenError(
            f"cannot listen on '{host}' port {port}: {exc.strerror}", remedy="choose another with --port"
        ) from None
    with taken:
        taken.set_inheritable(True)
        yield taken
