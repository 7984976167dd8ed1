"""`yekbar gateway`: agencies post changes over HTTP."""

import multiprocessing
from typing import Annotated

import typer
from granian import Granian
from granian.constants import Interfaces
from granian.http import HTTP1Settings

from bus.http.errors import TokenError
from bus.http.keys import REFRESH_S, Keys
from bus.http.observed import Observed
from bus.http.tokens import Tokens
from deploy.cli.output import error_console
from deploy.cli.publish import journal_path
from deploy.serving import token_settings
from deploy.wiring import wire
from producers.gateway.app import PREFIX, GatewayApp
from producers.journal_file import SqliteJournal
from producers.publisher import Publisher
from registry.contracts import RecordType

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 8090
HEADER_TIMEOUT_MS = 10_000
BACKLOG = 1_024

app = typer.Typer(add_completion=False)


@app.command()
def gateway(
    host: Annotated[str, typer.Option(help="The address to listen on.")] = DEFAULT_HOST,
    port: Annotated[int, typer.Option(help="The port to listen on.")] = DEFAULT_PORT,
) -> None:
    """Take changes of agencies over HTTP until Ctrl-C: one as a JSON object, or many as an array.

    The answer comes once the log has them; give each an event_id, and a repeat is harmless.

    Example: curl -H "Authorization: Bearer $(yekbar token AGENCY)" http://127.0.0.1:8090/v1/records/RECORD_TYPE
    -d '{"event_id": "…", "national_id": "…", "change_kind": "created", "effective_from": "2026-01-01T00:00:00Z",
    "body": {…}}'
    """
    token_settings(wire())  # a wrong setting is told here, and not by the worker
    error_console().print(f"gateway on http://{host}:{port}/v1/records/ (Ctrl-C ends it)")
    multiprocessing.set_start_method("spawn", force=True)  # a fork of a process that used Polars hangs
    Granian(
        "deploy.cli.gateway:gateway_app",
        factory=True,
        address=host,
        port=port,
        interface=Interfaces.ASGI,
        workers=1,  # a source has one publisher
        backlog=BACKLOG,
        websockets=False,
        http1_settings=HTTP1Settings(header_read_timeout=HEADER_TIMEOUT_MS),
        log_access=False,
        respawn_failed_workers=True,
    ).serve()


def gateway_app() -> Observed:
    """The application that the environment describes. Raises SettingError, CatalogueError."""
    wiring = wire()
    settings = token_settings(wiring)
    keys = Keys(settings)
    tokens = Tokens(settings, keys)

    async def agency_of(token: bytes) -> str | None:
        await keys.refresh(older_than_s=REFRESH_S)
        try:
            return (await tokens.caller(token)).agency
        except TokenError:
            return None

    def opening(record_type: RecordType) -> Publisher:
        source = f"{record_type.id}/gateway"
        return Publisher(
            record_type,
            source=source,
            kafka=wiring.kafka,
            registry=wiring.registry,
            pseudonymizer=wiring.pseudonymizer,
            journal=SqliteJournal(journal_path(source)),
        )

    record_types = {str(one.id): one for one in wiring.catalogue.record_types.values()}
    app = GatewayApp(record_types, agency_of=agency_of, opening=opening)
    return Observed(app, door="gateway", routes=[f"{PREFIX}{name}" for name in record_types])
