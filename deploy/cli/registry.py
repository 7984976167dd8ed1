"""`yekbar registry`: serves the schema registry."""

import os
from collections.abc import Mapping
from typing import Annotated

import typer

from bus.errors import SettingError
from bus.http.tls import read_tls_settings
from bus.settings import Mode
from deploy.local.running import running_environment
from deploy.production import check_listener
from registry.service.server import serve

app = typer.Typer(add_completion=False)


@app.command()
def registry(
    port: Annotated[int, typer.Option(min=1, max=65535, help="The port to listen on.")] = 8081,
    host: Annotated[str, typer.Option(help="The address to listen on; the default is for this machine only.")] = (
        "127.0.0.1"
    ),
) -> None:
    """Serve the schema registry (Confluent REST API for Avro), stored in PostgreSQL.

    The settings are DATABASE_URL, which a running local stack fills in, and YEKBAR_TLS_CERTIFICATE with its key.

    Example: DATABASE_URL=postgresql://… yekbar registry --port 8081
    """
    tls = read_tls_settings()
    check_listener(Mode(os.environ.get("YEKBAR_MODE") or Mode.PRODUCTION), host, tls)
    serve(database_url(os.environ), host=host, port=port, tls=(tls.certificate, tls.key) if tls else None)


def database_url(environment: Mapping[str, str]) -> str:
    """Where the registry keeps its tables. Raises SettingError, which does not show the value: it holds a password."""
    url = environment.get("DATABASE_URL") or running_environment(environment).get("DATABASE_URL", "")
    if not url.startswith(("postgresql://", "postgres://")):
        raise SettingError(
            "setting 'DATABASE_URL' is missing or no postgresql:// URL",
            remedy="set it, or start a stack with 'yekbar up'",
        )
    return url
