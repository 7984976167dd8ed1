"""`yekbar down`: stops the local stack."""

import typer

from deploy.cli.local import DataFolder, folder_of
from deploy.cli.output import error_console
from deploy.local.process import end_leftovers
from deploy.local.running import find_running, held
from deploy.local.supervisor import stop_running

app = typer.Typer(add_completion=False)


@app.command()
def down(data: DataFolder = None) -> None:
    """Stop the stack in order, wherever it was started, and wait until every process has ended; the data stays.

    That nothing runs is no error.

    Example: yekbar down
    """
    folder = folder_of(data)
    told = error_console()
    running = find_running(folder)
    if running is not None:
        with told.status("Stopping …"):
            stop_running(running)
        told.print(f"Stopped: the stack over '{folder}'.")
        return
    ended: list[str] = []
    if folder.exists():
        with held(folder):
            ended = end_leftovers(folder)
    told.print(
        f"Ended what a killed stack had left: {', '.join(ended)}." if ended else f"Nothing runs over '{folder}'."
    )
