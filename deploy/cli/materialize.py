"""`yekbar materialize`: keeps the views equal to the log."""

import signal
import threading
from typing import Annotated

import typer

from consumers.accesses.contract import access_contract
from consumers.materializer.run import Assembly, Progress, materialize
from consumers.materializer.worker import GROUP
from deploy.cli.output import AsJson, error_console, print_json, progress
from deploy.wiring import wire

app = typer.Typer(add_completion=False)


@app.command(name="materialize")
def command(
    workers: Annotated[int, typer.Option(min=1, max=64, help="Processes; each takes a share of the partitions.")] = 1,
    until_caught_up: Annotated[
        bool, typer.Option("--until-caught-up", help="End when the views hold all that the log holds.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Keep the views equal to the log, until Ctrl-C.

    Example: yekbar materialize --workers 2 --until-caught-up
    """
    wiring = wire()
    assembly = Assembly(
        kafka=wiring.kafka,
        database_url=wiring.settings.database_url,
        schema_registry_url=wiring.settings.schema_registry_url,
        record_types=(*wiring.catalogue.record_types.values(), access_contract()),
        group=GROUP,
    )
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    with progress() as bar:
        task = bar.add_task("materializing", total=None)

        def show(now: Progress) -> None:
            bar.update(task, completed=now.done, total=now.known)

        done = materialize(
            assembly,
            workers=workers,
            until_caught_up=until_caught_up,
            is_stopped=stopped.is_set,
            on_progress=show,
        )
    if as_json:
        print_json({"done": done.done, "known": done.known, "lag": done.lag})
    else:
        error_console().print(f"{done.done:,} events of the log are in the views, {done.lag:,} are not yet")
