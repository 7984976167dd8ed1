"""`yekbar serve`: the evidence API."""

from typing import Annotated

import typer

from bus.http.server import serve as serve_http
from bus.metrics import counted_together
from deploy.bookkeeping import bookkeeping
from deploy.cli.output import error_console
from deploy.serving import listener_tls, token_settings
from deploy.wiring import wire

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 8080

app = typer.Typer(add_completion=False)


@app.command()
def serve(
    host: Annotated[str, typer.Option(help="The address to listen on.")] = DEFAULT_HOST,
    port: Annotated[int, typer.Option(help="The port to listen on.")] = DEFAULT_PORT,
    workers: Annotated[int, typer.Option(min=1, help="Processes that answer.")] = 1,
) -> None:
    """Serve the evidence API until Ctrl-C; every access goes to the log as well.

    Example: yekbar serve --port 8080, then open http://127.0.0.1:8080/
    """
    wiring = wire()
    tls = listener_tls(wiring, host)
    token_settings(wiring)  # a wrong setting is told here, once, and not by every worker
    error_console().print(f"evidence API on {'https' if tls else 'http'}://{host}:{port}/ (Ctrl-C ends it)")
    with counted_together(), bookkeeping():
        serve_http("deploy.serving:evidence_app", host=host, port=port, workers=workers, tls=tls)
