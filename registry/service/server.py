"""Serves the registry on a port, in this process, until it is told to stop."""

import asyncio
import signal
import socket
from collections.abc import Callable

import structlog
from granian.constants import Interfaces
from granian.server.embed import Server

from registry.errors import RegistryError
from registry.service.app import registry_app

BACKLOG = 256  # connections that wait to be accepted

log = structlog.get_logger()


class PortTakenError(RegistryError):
    """Another process listens on the port."""

    exit_code = 71  # EX_OSERR of sysexits.h


def serve(database_url: str, *, host: str, port: int) -> None:
    """Serves until SIGTERM or SIGINT. Raises PortTakenError."""
    asyncio.run(serve_until(database_url, host=host, port=port, on_ready=_stop_with_signals))


async def serve_until(database_url: str, *, host: str, port: int, on_ready: Callable[[Server], None]) -> None:
    """Serves until the server is stopped by whoever `on_ready` hands it to, once it listens. Raises PortTakenError."""
    _check_free(host, port)
    server = Server(
        registry_app(database_url),
        address=host,
        port=port,
        interface=Interfaces.ASGI,
        backlog=BACKLOG,
        websockets=False,
        log_enabled=False,
    )
    serving = asyncio.create_task(server.serve())
    while not serving.done() and not await asyncio.to_thread(_listens, host, port):
        await asyncio.sleep(0.01)
    log.info("registry_ready", url=f"http://{host}:{port}")
    on_ready(server)
    await serving


def _stop_with_signals(server: Server) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, server.stop)


def _check_free(host: str, port: int) -> None:
    """Granian shares a port with whoever listens on it already; two registries there would each get half the calls."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as exc:
            raise PortTakenError(
                f"port {port} of '{host}' cannot be listened on: {exc.strerror}", remedy="choose another with --port"
            ) from exc


def _listens(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=1).close()
    except OSError:
        return False
    return True
