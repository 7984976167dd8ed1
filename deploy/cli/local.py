"""What the commands of the local stack share: the option for its data folder, and how a running stack is shown."""

import os
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from deploy.cli.output import console, print_json, print_table
from deploy.local.errors import StackError
from deploy.local.running import DATA_DEFAULT, DATA_VARIABLE, Running, RunningPart, data_folder, find_running

DataFolder = Annotated[
    Path | None,
    typer.Option("--data", help=f"The data folder; else {DATA_VARIABLE}, else {DATA_DEFAULT} in the working folder."),
]

_TO_TRY = (
    ('eval "$(yekbar env{data})"', "take its settings into this shell; then:"),
    ("yekbar status", "views, lag, quarantine, document-free services"),
    ('psql "$DATABASE_URL"', "the views: each record type is a database schema"),
    ('kcat -b "$KAFKA_BOOTSTRAP" -L', "the topics"),
    ('curl "$SCHEMA_REGISTRY_URL/subjects"', "the schemas"),
    ("yekbar down{data}", "stop it; the data stays"),
)


def folder_of(data: Path | None) -> Path:
    """The data folder that was named, or the one of the environment."""
    return data.absolute() if data else data_folder()


def running_of(data: Path | None) -> Running:
    """The stack that runs over a data folder. Raises StackError when none is ready there."""
    folder = folder_of(data)
    running = find_running(folder)
    if running is None or not running.is_ready:
        state = "no stack runs" if running is None else "the stack is not ready yet"
        raise StackError(f"{state} over '{folder}'", remedy="start one with 'yekbar up'")
    return running


def print_stack(running: Running, *, as_json: bool) -> None:
    """What runs where, and what to try next; no secret is shown."""
    if as_json:
        parts = [{"name": part.name, "place": part.place, "pid": part.pid, "log": part.log} for part in running.parts]
        print_json({"pid": running.pid, "folder": running.folder, "parts": parts})
        return
    rows = [[part.name, part.place, str(part.pid or "given"), _log(running, part)] for part in running.parts]
    print_table(f"The stack over {running.folder}", ["part", "address", "process", "log in that folder"], rows)
    is_default = Path(running.folder) == data_folder({})
    option = "" if is_default else f" --data {shlex.quote(running.folder)}"
    said = console()
    said.print("[bold]Try next[/]")
    for command, meaning in _TO_TRY:
        said.print(f"  {command.format(data=option):<38} {meaning}", soft_wrap=True, markup=False)


def _log(running: Running, part: RunningPart) -> str | None:
    return str(Path(part.log).relative_to(running.folder)) if part.log else None


def environment_of(data: Path | None) -> Mapping[str, str]:
    """The environment of this process, in which a data folder that was named is the one of the stack."""
    return {**os.environ, DATA_VARIABLE: str(data.absolute())} if data else os.environ
