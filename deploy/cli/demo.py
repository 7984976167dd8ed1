"""`yekbar demo`: the whole way, from nine agencies' databases to an answer and an audit."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from deploy.cli.output import AsJson, console, error_console, print_json
from deploy.demo.play import play
from deploy.demo.stage import Stage, Stopwatch
from deploy.local.signals import StopRequestedError, StopSignals

PERSONS = 10_000
PERSONS_MIN = 50
PERSONS_MAX = 1_000_000
SEED = 1405
FOLDER = Path(".yekbar") / "demo"

# The citizen's id goes from the registry's own table to standard input, so that it is in no history.
_TO_TRY = (
    "yekbar up --detach --data {data}",
    'eval "$(yekbar env --data {data})"',
    "yekbar status",
    "yekbar materialize &",
    "yekbar serve &",
    'psql "${{DATABASE_URL%/*}}/demo_civil_registry" -Atc'
    " \"SELECT kod_melli FROM tbl_person WHERE nam_latin = 'Sara' AND nam_khanevadegi_latin = 'Karimi'\" |"
    " yekbar evidence unemployment-benefit - --case-reference 1405-17",
    "yekbar down --data {data}",
)

app = typer.Typer(add_completion=False)


@app.command()
def demo(
    persons: Annotated[int, typer.Option(min=PERSONS_MIN, max=PERSONS_MAX, help="How many live there.")] = PERSONS,
    seed: Annotated[int, typer.Option(help="The same seed makes the same persons.")] = SEED,
    data: Annotated[Path, typer.Option(help="A folder for it alone; it is emptied at each run.")] = FOLDER,
    as_json: AsJson = False,
) -> None:
    """Show the whole way with nine agencies of a small nation, and end.

    It starts a stack of its own, and stops it at the end. What it expects of itself is marked ✓ or ✗; the exit code is
    1 when anything does not hold.

    Example: yekbar demo --persons 2000
    """
    stage = Stage(error_console() if as_json else console())
    watch = Stopwatch()
    folder = data.absolute()
    with StopSignals() as signals:
        try:
            with signals.interrupting():
                play(stage, folder=folder, persons=persons, seed=seed)
        except StopRequestedError as exc:
            error_console().print("Stopped; no process is left.")
            raise typer.Exit(exc.exit_code) from None
    _end(stage, data, watch.seconds)
    if as_json:
        print_json({**stage.facts(), "seconds": round(watch.seconds, 1)})
    if stage.failed:
        raise typer.Exit(1)


def _end(stage: Stage, folder: Path, seconds: float) -> None:
    stage.chapter("The end")
    for one in stage.failed:
        stage.say(f"✗ {one.chapter}: {one.what} ({one.seen})")
    held = len(stage.expectations) - len(stage.failed)
    stage.say(f"{held} of {len(stage.expectations)} expectations hold; {seconds:.0f} s; nothing runs any more.")
    stage.say("To play with what is there:")
    for command in _TO_TRY:
        stage.command(command.format(data=shlex.quote(str(folder))))
