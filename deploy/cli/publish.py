"""`yekbar publish`: the rows of files as events of a record type."""

import csv
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import IO, Annotated, Any
from urllib.parse import quote

import typer
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn

from deploy.cli.output import AsJson, console, error_console, print_json, print_table
from deploy.local.running import data_folder
from deploy.wiring import Wiring, wire
from producers.errors import ReportError
from producers.file_publishing import FileOutcome, LookingDesk, OncePublisher, RefusedRow, Target, publish_file
from producers.files import read_parts
from producers.ids import id_width
from producers.journal_file import SqliteJournal
from producers.mapper import Mapper
from producers.mapping import FieldMapping, FieldSource, parsed_mapping, read_yaml
from producers.publisher import Publisher
from producers.sync.mapping import SyncMapping
from registry.contracts import RecordType

SOME_REFUSED = 65  # EX_DATAERR of sysexits.h
REPORT_COLUMNS = ("file", "line", "field", "value_class", "reason", "rule", "meaning")

app = typer.Typer(add_completion=False)

Files = Annotated[
    list[Path], typer.Argument(help="CSV, JSON Lines, Parquet or Excel, by their endings.", exists=True, dir_okay=False)
]


@app.command()
def publish(
    record_type: Annotated[str, typer.Argument(help="What the rows are records of, as the catalogue names it.")],
    files: Files,
    source: Annotated[str | None, typer.Option(help="The stream at the agency; default: RECORD_TYPE/file.")] = None,
    mapping: Annotated[Path | None, typer.Option(help="A YAML file: which column says which field, and how.")] = None,
    encoding: Annotated[str | None, typer.Option(help="The files' encoding, where it cannot be told.")] = None,
    delimiter: Annotated[
        str | None, typer.Option(help="What parts the columns of CSV, where it cannot be told.")
    ] = None,
    sheet: Annotated[str | None, typer.Option(help="Which sheet, where a workbook has several.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only check; nothing is sent.")] = False,
    all_or_nothing: Annotated[
        bool, typer.Option("--all-or-nothing", help="Check every row first, and send nothing when one is refused.")
    ] = False,
    report: Annotated[Path | None, typer.Option(help="Where refused rows go; default: beside the first file.")] = None,
    as_json: AsJson = False,
) -> None:
    """Publish the rows of files as events of a record type.

    A column says the field of its own name: national_id, change_kind, effective_from, … and the body's fields. What is
    refused goes to a report with its line, field and reason, and the good rows go on. The same file published again
    publishes nothing twice; one that was broken off goes on.

    Example: yekbar publish civil-registry.life-status deaths.csv --mapping deaths.yaml --dry-run
    """
    wiring = wire()
    run = _Run(
        wiring=wiring,
        record_type=wiring.record_type(record_type),
        source=source or f"{record_type}/file",
        mapping=_mapping(mapping) if mapping else FieldMapping(),
        place=f"the mapping '{mapping}'" if mapping else "the mapping",
        files=files,
        encoding=encoding,
        delimiter=delimiter,
        sheet=sheet,
        report=report or files[0].with_name(f"{files[0].name}.refused.csv"),
    )
    must_look = dry_run or all_or_nothing
    outcomes = run.through(run.looking(), "checking") if must_look else {}
    may_send = not dry_run and not (all_or_nothing and any(one.refused for one in outcomes.values()))
    if may_send:
        outcomes = run.through(run.publishing(), "publishing")
    elif not dry_run:
        outcomes = {name: replace(one, published=0, repeated=0) for name, one in outcomes.items()}
    _tell(run, outcomes, dry_run=dry_run, as_json=as_json)
    if any(one.refused for one in outcomes.values()):
        raise typer.Exit(SOME_REFUSED)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    """What the command was asked to do."""

    wiring: Wiring
    record_type: RecordType
    source: str
    mapping: FieldMapping
    place: str
    files: list[Path]
    encoding: str | None
    delimiter: str | None
    sheet: str | None
    report: Path

    def looking(self) -> AbstractContextManager[Target]:
        """A desk that sends nothing."""
        desk = LookingDesk(self.record_type, source=self.source, pseudonymizer=self.wiring.pseudonymizer)
        return nullcontext(desk)

    @contextmanager
    def publishing(self) -> Iterator[Target]:
        """A publisher whose journal is kept in the data folder under the source's name."""
        with Publisher(
            self.record_type,
            source=self.source,
            kafka=self.wiring.kafka,
            registry=self.wiring.registry,
            pseudonymizer=self.wiring.pseudonymizer,
            journal=SqliteJournal(journal_path(self.source)),
        ) as publisher:
            yield OncePublisher(publisher)

    def through(self, opening: AbstractContextManager[Target], doing: str) -> dict[str, FileOutcome]:
        """What became of each file."""
        scheme = self.wiring.catalogue.national_id_scheme
        mapper = Mapper(self.record_type, self.mapping, place=self.place, scheme=scheme)
        outcomes: dict[str, FileOutcome] = {}
        with ExitStack() as parts:
            target = parts.enter_context(opening)
            on_refused = parts.enter_context(_Report(self.report))
            on_progress = parts.enter_context(_progress(doing, len(self.files)))
            for number, path in enumerate(self.files):
                outcomes[str(path)] = publish_file(
                    path,
                    read_parts(path, encoding=self.encoding, delimiter=self.delimiter, sheet=self.sheet),
                    mapper,
                    target,
                    on_refused=on_refused,
                    on_progress=partial(on_progress, path, number),
                )
        return outcomes


def journal_path(source: str) -> Path:
    """Where the journal of a source is kept."""
    return data_folder() / "journals" / f"{quote(source, safe='')}.journal"


def _mapping(path: Path) -> FieldMapping:
    """The mapping that a file says; one that is for a sync says the same of a table's export: each row is created."""
    document = read_yaml(path)
    if not isinstance(document, dict) or not {"table", "query"} & document.keys():
        return parsed_mapping(document, FieldMapping, place=str(path))
    said = parsed_mapping(document, SyncMapping, place=str(path))
    return FieldMapping(
        record_type=said.record_type,
        time_zone=said.time_zone,
        fields={"change_kind": FieldSource(constant="created"), **said.fields},
        ignore=said.ignore,
        ignore_others=said.ignore_others,
    )


class _Report:
    """Writes refused rows to a CSV file, which is there only when there are any. A context manager."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: IO[str] | None = None
        self._rows: Any = None  # csv has no type for its writers

    def __enter__(self) -> "_Report":
        with _writing(self._path):
            self._path.unlink(missing_ok=True)
        return self

    def __call__(self, row: RefusedRow) -> None:
        with _writing(self._path):
            if self._file is None:
                self._file = self._path.open("w", encoding="utf-8", newline="")
                self._rows = csv.DictWriter(self._file, REPORT_COLUMNS)
                self._rows.writeheader()
            self._rows.writerow({**asdict(row), "meaning": row.meaning})

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            with _writing(self._path):
                self._file.close()


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Raises ReportError where the report cannot be written."""
    try:
        yield
    except OSError as exc:
        raise ReportError(
            f"the report '{path}' cannot be written: {exc.strerror or exc}",
            remedy="make room, or name another place with --report, and run again: nothing is published twice",
        ) from exc


@contextmanager
def _progress(doing: str, files: int) -> Iterator[Callable[[Path, int, FileOutcome], None]]:
    """A bar on stderr with the share done, the rate and the time left."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=error_console(), transient=True) as bar:
        task = bar.add_task(doing, total=files, rate="")
        began = time.monotonic()
        rows_before: dict[int, int] = {}

        def show(path: Path, number: int, done: FileOutcome) -> None:
            rows_before[number] = done.rows
            rate = sum(rows_before.values()) / max(time.monotonic() - began, 1e-3)
            bar.update(
                task, completed=number + done.share, description=f"{doing} {path.name}", rate=f"{rate:,.0f} rows/s"
            )

        yield show


def _tell(run: _Run, outcomes: dict[str, FileOutcome], *, dry_run: bool, as_json: bool) -> None:
    is_refusing = any(one.refused for one in outcomes.values())
    names = ("rows", "published", "repeated", "refused")  # the columns of the table
    rows = [{"file": file, **{name: getattr(one, name) for name in names}} for file, one in outcomes.items()]
    if as_json:
        facts = {"record_type": run.record_type.id, "source": run.source, "dry_run": dry_run, "files": rows}
        noticed = {name: sum(getattr(one, name) for one in outcomes.values()) for name in ("restored", "short")}
        report = str(run.report) if is_refusing else None
        print_json({**facts, "report": report, "national_ids": noticed, "flagged": _flagged(outcomes)})
        return
    title = f"{run.record_type.id} as {run.source}" + (" (dry run: nothing was sent)" if dry_run else "")
    shown = ["file", "rows", "would be published" if dry_run else "published", "repeated", "refused"]
    print_table(title, shown, ([*row.values()] for row in rows))
    if is_refusing:
        console().print(f"refused rows, each with its line, field and reason: {run.report}", soft_wrap=True)
    if flagged := _flagged(outcomes):
        rules = ", ".join(f"{count:,} by '{rule}'" for rule, count in flagged.items())
        console().print(f"doubted by the contract's rules, but taken: {rules}", soft_wrap=True)
    if restored := sum(one.restored for one in outcomes.values()):
        told = "got back the leading zeros that a number cannot hold; each must agree with its check digit"
        console().print(f"{restored:,} national ids {told}", soft_wrap=True)
    if short := sum(one.short for one in outcomes.values()):
        width = id_width(run.wiring.catalogue.national_id_scheme)
        told = f"would be right with leading zeros: if the column lost them, map it with 'width: {width}'"
        console().print(f"{short:,} refused national ids {told}", soft_wrap=True)


def _flagged(outcomes: dict[str, FileOutcome]) -> dict[str, int]:
    """How many rows each rule doubts, the most first."""
    return dict(sum((Counter(one.flagged) for one in outcomes.values()), Counter()).most_common())
