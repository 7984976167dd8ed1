"""Serves the registry on a port, in this process, until it is told to stop."""

import asyncio
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import structlog
import uvicorn

from registry.errors import RegistryError
from registry.service.app import registry_app

BACKLOG = 256  # connections that wait to be accepted
ENDING_TIMEOUT_S = 5  # for answers that are under way

Tls = tuple[Path, Path]  # a certificate and its key, in PEM form

log = structlog.get_logger()


class PortTakenError(RegistryError):
    """The port cannot be listened on: another process does, or the address is not of this machine."""

    exit_code = 71  # EX_OSERR of sysexits.h


class Server(uvicorn.Server):
    """uvicorn's server, which says when it listens; a signal ends it, and leaves the process to end as it likes."""

    def __init__(self, config: uvicorn.Config, on_ready: Callable[["Server"], None]) -> None:
        super().__init__(config)
        self._on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Takes the socket, and says so."""
        await super().startup(sockets)
        self._on_ready(self)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Ends with SIGTERM and SIGINT, where this thread may hear them."""
        with super().capture_signals():
            yield
            self._captured_signals.clear()


def serve(database_url: str, *, host: str, port: int, tls: Tls | None = None) -> None:
    """Serves until SIGTERM or SIGINT. Raises PortTakenError."""
    url = f"{'https' if tls else 'http'}://{f'[{host}]' if ':' in host else host}:{port}"
    asyncio.run(
        serve_until(database_url, host=host, port=port, tls=tls, on_ready=lambda _: log.info("registry_ready", url=url))
    )


async def serve_until(
    database_url: str, *, host: str, port: int, on_ready: Callable[[Server], None], tls: Tls | None = None
) -> None:
    """Serves until somebody sets `should_exit` of the server that `on_ready` is given. Raises PortTakenError."""
    config = uvicorn.Config(
        registry_app(database_url),
        ws="none",
        proxy_headers=False,
        server_header=False,
        access_log=False,
        log_config=None,
        backlog=BACKLOG,
        timeout_graceful_shutdown=ENDING_TIMEOUT_S,
        ssl_certfile=tls[0] if tls else None,
        ssl_keyfile=tls[1] if tls else None,
    )
    with _listening(host, port) as taken:
        await Server(config, on_ready).serve(sockets=[taken])


@contextmanager
def _listening(host: str, port: int) -> Iterator[socket.socket]:
    """A socket that listens. Raises PortTakenError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        taken = socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as exc:
        raise PortTakenError(
            f"port {port} of '{host}' cannot be listened on: {exc.strerror}", remedy="choose another with --port"
        ) from exc
    with taken:
        yield taken
