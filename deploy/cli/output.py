"""What people see at the terminal: tables, progress bars, errors. Facts go to stdout, everything else to stderr."""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn
from rich.table import Table
from typer.exceptions import TyperException

INTERRUPTED = 130  # 128 + SIGINT, as shells say it
PIPED_WIDTH = 140

AsJson = Annotated[bool, typer.Option("--json", help="Print the facts as JSON.")]


def console() -> Console:
    """Facts: colours only on a terminal (rich sees to it), and room for a table where the output is no terminal."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else PIPED_WIDTH)


def error_console() -> Console:
    """Progress, warnings and errors."""
    return Console(stderr=True, highlight=False)


def print_json(facts: Any) -> None:
    """Facts for a machine: one JSON document, letters as they are; times and ids as strings."""
    typer.echo(json.dumps(facts, ensure_ascii=False, indent=2, default=str))


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Facts for a person: numbers to the right, None as a dash."""
    listed = [list(row) for row in rows]
    table = Table(title=title, title_justify="left", header_style="bold")
    for place, name in enumerate(columns):
        is_number = bool(listed) and all(isinstance(row[place], int | float | None) for row in listed)
        table.add_column(name, justify="right" if is_number else "left", overflow="fold")
    for row in listed:
        table.add_row(*(_cell(value) for value in row))
    console().print(table)


def print_rows(facts: Sequence[Mapping[str, Any]], *, title: str, as_json: bool) -> None:
    """Facts that all have the same keys: JSON, or a table whose columns are those keys."""
    if as_json:
        print_json(facts)
    elif facts:
        print_table(title, list(facts[0]), ([*row.values()] for row in facts))
    else:
        console().print(f"{title}: none")


def progress() -> Progress:
    """A progress bar on stderr with the count, and the time left; silent where stderr is no terminal."""
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=error_console(),
        transient=True,
    )


def tell_error(exc: Exception) -> int:
    """Tells what failed and what to do, and gives the exit code. An error that we do not know is raised again."""
    if isinstance(exc, typer.Exit):
        return exc.exit_code
    if isinstance(exc, typer.Abort):
        return INTERRUPTED
    if isinstance(exc, TyperException):
        exc.show()  # type: ignore[attr-defined]  # every one that typer raises has it
        return exc.exit_code
    if not hasattr(exc, "exit_code"):
        raise exc
    told = error_console()
    told.print(f"[bold red]error:[/] {_plain(getattr(exc, 'message', str(exc)))}", soft_wrap=True)
    if getattr(exc, "remedy", ""):
        told.print(f"[bold]what to do:[/] {_plain(exc.remedy)}", soft_wrap=True)  # type: ignore[attr-defined]
    return int(exc.exit_code)


def _plain(text: str) -> str:
    return text.replace("[", r"\[")


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.1f}"
    return _plain(str(value))
