"""`yekbar serve`: the evidence API."""

import multiprocessing
from typing import Annotated

import typer
from granian import Granian
from granian.constants import Interfaces
from granian.http import HTTP1Settings

from deploy.cli.output import error_console
from deploy.serving import token_settings
from deploy.wiring import wire

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 8080
HEADER_TIMEOUT_MS = 10_000
BACKLOG = 1_024
CONNECTIONS_MAX = 8_192  # a worker's; an idle one costs a few kilobytes and must keep nobody out

app = typer.Typer(add_completion=False)


@app.command()
def serve(
    host: Annotated[str, typer.Option(help="The address to listen on.")] = DEFAULT_HOST,
    port: Annotated[int, typer.Option(help="The port to listen on.")] = DEFAULT_PORT,
    workers: Annotated[int, typer.Option(min=1, help="Processes that answer.")] = 1,
) -> None:
    """Serve the evidence API until Ctrl-C.

    Example: yekbar serve --port 8080, then open http://127.0.0.1:8080/
    """
    token_settings(wire())  # a wrong setting is told here, once, and not by every worker
    error_console().print(f"evidence API on http://{host}:{port}/ (Ctrl-C ends it)")
    multiprocessing.set_start_method("spawn", force=True)  # a fork of a process that used Polars hangs
    Granian(
        "deploy.serving:evidence_app",
        factory=True,
        address=host,
        port=port,
        interface=Interfaces.ASGI,
        workers=workers,
        backlog=BACKLOG,
        backpressure=CONNECTIONS_MAX,
        websockets=False,
        http1_settings=HTTP1Settings(header_read_timeout=HEADER_TIMEOUT_MS),
        log_access=False,  # a log of addresses is a log of what people ask
        respawn_failed_workers=True,
    ).serve()
