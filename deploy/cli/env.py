"""`yekbar env`: the settings of the running stack."""

import shlex
from pathlib import Path

import typer

from bus.client_file import CLIENT_FILE
from deploy.cli.local import DataFolder, running_of
from deploy.cli.output import AsJson, print_json
from deploy.local.broker_settings import KCAT_FILE

app = typer.Typer(add_completion=False)


@app.command()
def env(data: DataFolder = None, as_json: AsJson = False) -> None:
    """Print the settings of the running stack as shell exports. They hold secrets: a password and the domain key.

    KCAT_CONFIG tells kcat, too, how the broker lets it in.

    Example: eval "$(yekbar env)" && psql "$DATABASE_URL"
    """
    settings = running_of(data).environment
    if as_json:
        print_json(settings)
    else:
        kcat = Path(settings.get(CLIENT_FILE, "")).with_name(KCAT_FILE) if CLIENT_FILE in settings else None
        also = {"KCAT_CONFIG": str(kcat)} if kcat is not None and kcat.exists() else {}
        for name, value in {**settings, **also}.items():
            typer.echo(f"export {name}={shlex.quote(value)}")
