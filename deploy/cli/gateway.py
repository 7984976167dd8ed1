"""`yekbar gateway`: agencies post changes over HTTP."""

from typing import Annotated

import typer

from bus.http.observed import Observed
from bus.http.server import listening, server
from deploy.cli.output import error_console
from deploy.cli.publish import journal_path
from deploy.serving import listener_tls, token_settings
from deploy.wiring import Wiring, wire
from producers.gateway.app import GatewayApp
from producers.journal_file import SqliteJournal
from producers.publisher import Publisher
from registry.contracts import RecordType

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 8090
DEFAULT_NAME = "gateway"

app = typer.Typer(add_completion=False)


@app.command()
def gateway(
    host: Annotated[str, typer.Option(help="The address to listen on.")] = DEFAULT_HOST,
    port: Annotated[int, typer.Option(help="The port to listen on.")] = DEFAULT_PORT,
    name: Annotated[
        str, typer.Option(help="Sources are called RECORD_TYPE/NAME; of two gateways each has its own.")
    ] = DEFAULT_NAME,
) -> None:
    """Take changes of agencies over HTTP until Ctrl-C: one as a JSON object, or many as an array.

    The answer comes once the log has them; give each an event_id, and a repeat is harmless.

    Example: curl -H "Authorization: Bearer $(yekbar token AGENCY)" -H "Content-Type: application/json"
    http://127.0.0.1:8090/v1/records/RECORD_TYPE -d '{"event_id": "…", "national_id": "…", "change_kind": "created",
    "effective_from": "2026-01-01T00:00:00Z", "body": {…}}'
    """
    wiring = wire()
    tls = listener_tls(wiring, host)
    made = gateway_app(wiring, name=name)
    with listening(host, port) as taken:
        error_console().print(f"gateway on {'https' if tls else 'http'}://{host}:{port}/ (Ctrl-C ends it)")
        server(made, tls=tls).run(sockets=[taken])  # one process: a source has one publisher


def gateway_app(wiring: Wiring, *, name: str) -> Observed:
    """The application of one gateway. Raises SettingError."""

    def opening(record_type: RecordType) -> Publisher:
        source = f"{record_type.id}/{name}"
        return Publisher(
            record_type,
            source=source,
            kafka=wiring.kafka,
            registry=wiring.registry,
            pseudonymizer=wiring.pseudonymizer,
            journal=SqliteJournal(journal_path(source)),
        )

    made = GatewayApp(catalogue=wiring.catalogue, settings=token_settings(wiring), opening=opening)
    return Observed(made, door="gateway", routes=made.routes, fault=made.fault)
