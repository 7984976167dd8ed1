"""The stage: what people see of the demonstration, and what it expects of itself. Each number comes from the run."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from time import perf_counter
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TaskProgressColumn, TextColumn
from rich.table import Table
from rich.text import Text


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """Something that must hold for the demonstration to succeed; `seen` is what the run showed."""

    chapter: str
    what: str
    holds: bool
    seen: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """How much of something went how fast."""

    what: str
    count: int
    unit: str
    seconds: float

    @property
    def per_second(self) -> float:
        """The rate."""
        return self.count / self.seconds if self.seconds else 0.0


class Bar:
    """A progress bar of one task."""

    def __init__(self, shown: Progress, task: Any) -> None:
        self._shown = shown
        self._task = task

    def advance(self, count: int) -> None:
        """So many more are done."""
        self._shown.advance(self._task, count)

    def set(self, done: int, total: int) -> None:
        """So many are done, of so many."""
        self._shown.update(self._task, completed=done, total=total)


class Stage:
    """Shows chapters, tables and progress on a console, and keeps expectations and measures."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._chapter = ""
        self.expectations: list[Expectation] = []
        self.measures: list[Measure] = []

    @property
    def failed(self) -> tuple[Expectation, ...]:
        """What does not hold."""
        return tuple(one for one in self.expectations if not one.holds)

    def chapter(self, title: str) -> None:
        """Opens a chapter."""
        self._chapter = title
        self._console.print()
        self._console.rule(Text(title, style="bold"), align="left")

    def say(self, text: str) -> None:
        """A sentence of the story."""
        self._console.print(Text(text))

    def command(self, line: str) -> None:
        """A command to try, on one line so that it can be copied."""
        self._console.print(Text(f"  {line}"), soft_wrap=True)

    def table(self, title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        """Facts: numbers to the right, None as a dash."""
        listed = [list(row) for row in rows]
        shown = Table(title=title, title_justify="left", header_style="bold")
        for place, name in enumerate(columns):
            is_number = all(isinstance(row[place], int | float | None) for row in listed)
            shown.add_column(name, justify="right" if is_number else "left", overflow="fold")
        for row in listed:
            shown.add_row(*(Text(_cell(value)) for value in row))
        self._console.print(shown)

    def expect(self, what: str, holds: bool, seen: Any = "") -> None:
        """Tells whether something holds, and remembers it."""
        told = f"{seen:,}" if isinstance(seen, int) else str(seen)
        self.expectations.append(Expectation(chapter=self._chapter, what=what, holds=holds, seen=told))
        mark = Text("✓ ", style="bold green") if holds else Text("✗ ", style="bold red")
        self._console.print(mark + Text(what) + Text(f"  ({told})" if told else "", style="dim"))

    def measure(self, what: str, count: int, unit: str, seconds: float) -> None:
        """Remembers a rate for the last table."""
        self.measures.append(Measure(what=what, count=count, unit=unit, seconds=seconds))

    @contextmanager
    def bar(self, doing: str, total: int | None = None) -> Iterator[Bar]:
        """A progress bar while something goes on; nothing where the console is no terminal."""
        columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        with Progress(*columns, TaskProgressColumn(show_speed=True), console=self._console, transient=True) as shown:
            yield Bar(shown, shown.add_task(doing, total=total))

    def facts(self) -> dict[str, Any]:
        """Everything that was measured and expected, for a machine."""
        measures = [{**asdict(one), "per_second": round(one.per_second, 1)} for one in self.measures]
        return {"expectations": [asdict(one) for one in self.expectations], "measures": measures}


class Stopwatch:
    """Seconds since it was made."""

    def __init__(self) -> None:
        self._began = perf_counter()

    @property
    def seconds(self) -> float:
        """How long it has run."""
        return perf_counter() - self._began


def _cell(value: Any) -> str:
    if value is None or value == "":
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:,.1f}" if isinstance(value, float) else str(value)
