"""`yekbar up`: starts the local stack, and keeps it."""

import os
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from deploy.cli.local import DataFolder, folder_of, print_stack
from deploy.cli.output import AsJson, console, error_console
from deploy.local.errors import StackError
from deploy.local.jars import fetch_jars, jar_folder, locked_jars, missing_jars
from deploy.local.part import Part
from deploy.local.running import Running, find_running
from deploy.local.signals import StopRequestedError
from deploy.local.supervisor import detach, supervise, wait_until_ready
from deploy.local.whole import WholeStack

app = typer.Typer(add_completion=False)


@app.command()
def up(
    data: DataFolder = None,
    detached: Annotated[bool, typer.Option("--detach", help="Return when it is ready; it goes on.")] = False,
    as_json: AsJson = False,
) -> None:
    """Start Kafka, PostgreSQL and the schema registry, put the catalogue into force, and keep them until Ctrl-C.

    KAFKA_BOOTSTRAP, DATABASE_URL and SCHEMA_REGISTRY_URL, where they are set, are used in place of a part of its own.
    Where the stack runs already, it says so and ends with 0. It ends with 1 when a part fails, whose log it quotes.

    Example: yekbar up --detach && eval "$(yekbar env)"
    """
    folder = folder_of(data)
    if find_running(folder) is not None and (running := wait_until_ready(folder)) is not None:
        error_console().print(f"The stack already runs over '{folder}', process {running.pid}.")
        print_stack(running, as_json=as_json)
        return
    try:
        if not os.environ.get("KAFKA_BOOTSTRAP"):
            _fetch_kafka()
        if detached:
            print_stack(detach(folder), as_json=as_json)
        else:
            _keep(folder, as_json=as_json)
    except StopRequestedError as exc:
        error_console().print("Stopped before it was ready; no process is left.")
        raise typer.Exit(exc.exit_code) from None


def _fetch_kafka() -> None:
    missing = missing_jars(locked_jars(), jar_folder())
    if not missing:
        return
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, TimeRemainingColumn(), console=error_console(), transient=True) as shown:
        task = shown.add_task(f"Kafka ({len(missing)} jars, once)", total=sum(jar.size_bytes for jar in missing))
        fetch_jars(missing, jar_folder(), lambda count: shown.advance(task, count))


def _keep(folder: Path, *, as_json: bool) -> None:
    told = error_console()
    with told.status("Starting PostgreSQL and Kafka …") as status:

        def on_started(part: Part, seconds: float) -> None:
            told.print(f"[green]✓[/] {part.name} answers at {part.place} ({seconds:.1f} s)")
            status.update("Starting the rest, and putting the catalogue into force …")

        def on_ready() -> None:
            status.stop()
            print_stack(_found(folder), as_json=as_json)
            told.print("Ctrl-C stops everything; the data stays.")

        supervise(WholeStack(folder, on_started=on_started), on_ready, lambda: told.print("Stopping …"))
    console().print("Stopped.")


def _found(folder: Path) -> Running:
    running = find_running(folder)
    if running is None:
        raise StackError(f"the state of the stack has gone from '{folder}'", remedy="start it again")
    return running
