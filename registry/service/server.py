"""Serves the registry on a port, in this process, until it is told to stop."""

import asyncio
import signal
import socket
from collections.abc import Callable
from pathlib import Path

import structlog
from granian.constants import Interfaces
from granian.server.embed import Server

from registry.errors import RegistryError
from registry.service.app import registry_app

BACKLOG = 256  # connections that wait to be accepted
POLL_S = 0.01

Tls = tuple[Path, Path]  # a certificate and its key, in PEM form

log = structlog.get_logger()


class PortTakenError(RegistryError):
    """The port cannot be listened on: another process does, or the address is not of this machine."""

    exit_code = 71  # EX_OSERR of sysexits.h


def serve(database_url: str, *, host: str, port: int, tls: Tls | None = None) -> None:
    """Serves until SIGTERM or SIGINT. Raises PortTakenError."""
    asyncio.run(serve_until(database_url, host=host, port=port, tls=tls, on_ready=_stop_with_signals))


async def serve_until(
    database_url: str, *, host: str, port: int, on_ready: Callable[[Server], None], tls: Tls | None = None
) -> None:
    """Serves until the server is stopped by whoever `on_ready` hands it to, once it listens. Raises PortTakenError."""
    address = _free_address(host, port)
    server = Server(
        registry_app(database_url),
        address=address,
        port=port,
        interface=Interfaces.ASGI,
        backlog=BACKLOG,
        websockets=False,
        log_enabled=False,
        ssl_cert=tls[0] if tls else None,
        ssl_key=tls[1] if tls else None,
    )
    serving = asyncio.create_task(server.serve())
    while not serving.done() and not await asyncio.to_thread(_listens, address, port):
        await asyncio.sleep(POLL_S)
    if not serving.done():
        log.info(
            "registry_ready",
            url=f"{'https' if tls else 'http'}://{f'[{address}]' if ':' in address else address}:{port}",
        )
        on_ready(server)
    await serving


def _stop_with_signals(server: Server) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, server.stop)


def _free_address(host: str, port: int) -> str:
    """The address of a host, with a port that is free. Raises PortTakenError.

    Granian shares a port with whoever listens on it already; two registries there would each get half the calls.
    """
    try:
        family, _, _, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(place)
    except OSError as exc:
        raise PortTakenError(
            f"port {port} of '{host}' cannot be listened on: {exc.strerror}", remedy="choose another with --port"
        ) from exc
    return str(place[0])


def _listens(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=1).close()
    except OSError:
        return False
    return True
