"""`yekbar sync`: a table that can change nothing becomes a source."""

import csv
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import structlog
import typer
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn

from bus.envelope import ChangeKind
from bus.errors import SettingError
from deploy.cli.output import AsJson, console, error_console, print_json, print_table
from deploy.cli.sync_topic import TopicRun
from deploy.local.running import data_folder
from deploy.wiring import Wiring, wire
from producers.capture.capturing import source_of
from producers.errors import SourceAwayError
from producers.heartbeat import Heart
from producers.publisher import Publisher
from producers.sync.mapping import SyncMapping, duration, read_sync_mapping
from producers.sync.outcome import NOTHING_ACCEPTED, Accepted, Outcome, RefusedRow, RoundKind
from producers.sync.rounds import TableSync
from producers.sync.state import SyncState
from producers.sync.table import Table, engine_of
from registry.contracts import RecordType

SOME_REFUSED = 65  # EX_DATAERR of sysexits.h
REPORT_COLUMNS = ("key", "column", "value_class", "reason", "rule", "meaning")

KINDS = tuple(map(str, ChangeKind))
TITLES: Mapping[RoundKind, str] = {RoundKind.FULL: "the whole table", RoundKind.CHANGES: "what changed"}
REST_S = 1.0

app = typer.Typer(add_completion=False)
log = structlog.get_logger()


@app.command()
def sync(
    mapping: Annotated[
        Path, typer.Argument(help="A YAML file: which table, which key, which column says which field.")
    ],
    database: Annotated[
        str | None,
        typer.Option(
            envvar="SYNC_DATABASE_URL", help="The agency's database: postgresql://…, mariadb://…, sqlite:///…"
        ),
    ] = None,
    from_topic: Annotated[
        str | None, typer.Option("--from-topic", help="Read Debezium's change topic of the table instead of the table.")
    ] = None,
    every: Annotated[str | None, typer.Option(help="Go on until Ctrl-C, a round each 30s, 5m, 1h …")] = None,
    once: Annotated[bool, typer.Option("--once", help="One round, and end; so it is without --every.")] = False,
    full: Annotated[bool, typer.Option("--full", help="Compare the whole table in the first round.")] = False,
    accept_columns: Annotated[
        bool,
        typer.Option("--accept-columns", help="The columns' types have changed, and the mapping still reads them."),
    ] = False,
    accept_gone: Annotated[bool, typer.Option("--accept-gone", help="Many rows are gone, and that is so.")] = False,
    report: Annotated[Path | None, typer.Option(help="Where refused rows go; default: beside the state.")] = None,
    as_json: AsJson = False,
) -> None:
    """Publish a table's rows, and then what changes in it. Nothing is written to the agency's database.

    The first round tells every row. Later ones read what the change column says has changed, and once a day, or with
    --full, compare the whole table, which finds what was deleted, missed or dated back. What was told of each row is
    kept in the data folder; a sync that is broken off goes on where it was.

    With --from-topic the same mapping reads what a Debezium connector captures of the table's log: with --once
    up to the topic's end, else until Ctrl-C.

    Example: yekbar sync addresses.yaml --database postgresql://reader@host/agency --every 1m
    """
    pause_s = _pause_s(every) if every and not once else None
    said = read_sync_mapping(mapping)
    accepted = Accepted(columns=accept_columns, gone=accept_gone)
    if from_topic is not None:
        _capture(
            said, from_topic, accepted, place=f"the mapping '{mapping}'", report=report, once=once, as_json=as_json
        )
        return
    url = database or said.database
    if url is None:
        raise SettingError("no database is named", remedy="give --database, or set SYNC_DATABASE_URL")
    wiring = wire()
    run = _Run(wiring, said, url, place=f"the mapping '{mapping}'", report=report)
    must_stop = threading.Event()
    _stop_on_signals(must_stop)
    refused = run.rounds(must_stop, pause_s=pause_s, is_full=full, accepted=accepted, as_json=as_json)
    if refused and pause_s is None:
        raise typer.Exit(SOME_REFUSED)


def _capture(
    mapping: SyncMapping,
    topic: str,
    accepted: Accepted,
    *,
    place: str,
    report: Path | None,
    once: bool,
    as_json: bool,
) -> None:
    wiring = wire()
    must_stop = threading.Event()
    _stop_on_signals(must_stop)
    mapping = mapping.model_copy(update={"source": source_of(mapping)})
    state = state_path(mapping.source_name)
    report = report or state.with_suffix(".refused.csv")
    run = TopicRun(
        wiring=wiring,
        record_type=wiring.record_type(mapping.record_type),
        mapping=mapping,
        topic=topic,
        place=place,
        state=state,
        accepted=accepted,
    )
    began = time.monotonic()
    with _report(report, is_new=False) as on_refused, _progress() as show:
        done = run.capture(must_stop, goes_on=not once, on_refused=on_refused, on_progress=show)
    _tell(done, mapping, report, seconds=time.monotonic() - began, as_json=as_json)
    if done.refused and once:
        raise typer.Exit(SOME_REFUSED)


class _Run:
    """What the command was asked to do."""

    def __init__(self, wiring: Wiring, mapping: SyncMapping, url: str, *, place: str, report: Path | None) -> None:
        self._wiring = wiring
        self._mapping = mapping
        self._record_type: RecordType = wiring.record_type(mapping.record_type)
        table = Table(engine_of(url), mapping)
        self._sync = TableSync(self._record_type, mapping, table=table, pseudonymizer=wiring.pseudonymizer, place=place)
        self._state = SyncState(state_path(mapping.source_name))
        self._read_at: datetime | None = None
        self._report = report or self._state.path.with_suffix(".refused.csv")

    def rounds(
        self, must_stop: threading.Event, *, pause_s: float | None, is_full: bool, accepted: Accepted, as_json: bool
    ) -> int:
        """Goes rounds; how many rows the last one refused. An agency's database that is away is waited for."""
        refused = 0
        heart = Heart(kafka=self._wiring.kafka, registry=self._wiring.registry)
        try:
            with self._publisher() as publisher:
                while not must_stop.is_set():
                    began = time.monotonic()
                    try:
                        outcome = self._round(publisher, heart, must_stop, is_full=is_full, accepted=accepted)
                        refused = outcome.refused
                        if outcome.events or refused or pause_s is None:
                            seconds = time.monotonic() - began
                            _tell(outcome, self._mapping, self._report, seconds=seconds, as_json=as_json)
                        is_full, accepted = False, NOTHING_ACCEPTED
                    except SourceAwayError as exc:
                        if pause_s is None:
                            raise
                        log.warning("database_awaited", source=self._mapping.source_name, error=exc.message)
                    if pause_s is None:
                        break
                    self._rest(publisher, heart, must_stop, until=began + pause_s)
        except _StoppedError:
            error_console().print("stopped; the next run goes on here")
        finally:
            heart.close()
        return refused

    def _publisher(self) -> Publisher:
        return Publisher(
            self._record_type,
            source=self._mapping.source_name,
            kafka=self._wiring.kafka,
            registry=self._wiring.registry,
            pseudonymizer=self._wiring.pseudonymizer,
            journal=self._state,
        )

    def _round(
        self, publisher: Publisher, heart: Heart, must_stop: threading.Event, *, is_full: bool, accepted: Accepted
    ) -> Outcome:
        now = datetime.now(UTC)
        kind = RoundKind.FULL if is_full else self._sync.kind_of_next(self._state, now=now)
        with _report(self._report, is_new=kind is RoundKind.FULL) as on_refused, _progress() as show:

            def on_progress(done: Outcome) -> None:
                if must_stop.is_set():
                    raise _StoppedError
                show(done)

            outcome = self._sync.round(
                publisher, self._state, kind, accepted=accepted, on_refused=on_refused, on_progress=on_progress
            )
        self._read_at = now
        self._beat(publisher, heart)
        return outcome

    def _beat(self, publisher: Publisher, heart: Heart) -> None:
        """What the table showed as the last round began is in the log."""
        if self._read_at is None:
            return
        heart.beat(
            self._record_type,
            source=self._mapping.source_name,
            last_sequence=publisher.last_sequence,
            complete_until=self._read_at,
        )

    def _rest(self, publisher: Publisher, heart: Heart, must_stop: threading.Event, *, until: float) -> None:
        """Waits for the next round, and beats meanwhile."""
        while not must_stop.is_set() and (left := until - time.monotonic()) > 0:
            must_stop.wait(min(left, REST_S))
            self._beat(publisher, heart)


def _tell(done: Outcome, mapping: SyncMapping, report: Path, *, seconds: float, as_json: bool) -> None:
    counts = {"rows": done.rows, "same": done.same, **{kind: done.told.get(kind, 0) for kind in KINDS}}
    facts: dict[str, Any] = {**counts, "refused": done.refused}
    if as_json:
        names = {"record_type": mapping.record_type, "source": mapping.source_name, "round": str(done.kind)}
        place = str(report) if done.refused else None
        print_json({**names, **facts, "gone": done.gone, "seconds": round(seconds, 3), "report": place})
        return
    title = f"{mapping.record_type} as {mapping.source_name}: {TITLES[done.kind]}, {seconds:,.1f} s"
    print_table(title, list(facts), [list(facts.values())])
    if done.refused:
        console().print(f"refused rows, each with its key, column and reason: {report}", soft_wrap=True)


class _StoppedError(Exception):
    """A signal came in the middle of a round."""


def state_path(source: str) -> Path:
    """Where the journal and the state of a source are kept."""
    return data_folder() / "journals" / f"{quote(source, safe='')}.journal"


def _pause_s(every: str) -> float:
    try:
        return duration(every).total_seconds()
    except ValueError as exc:
        raise typer.BadParameter(str(exc), param_hint="--every") from None


def _stop_on_signals(must_stop: threading.Event) -> None:
    """The first signal ends the round where it is; a second one does not wait."""

    def stop(*_: object) -> None:
        if must_stop.is_set():
            raise KeyboardInterrupt
        must_stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)


@contextmanager
def _report(path: Path, *, is_new: bool) -> Iterator[Callable[[RefusedRow], None]]:
    """Writes refused rows to a CSV file for its owner's eyes; a whole reading begins it anew."""
    if is_new:
        path.unlink(missing_ok=True)
    with ExitStack() as closing:
        writer: Any = None

        def write(row: RefusedRow) -> None:
            nonlocal writer
            if writer is None:
                path.parent.mkdir(parents=True, exist_ok=True)
                opened = os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600)
                writer = csv.DictWriter(
                    closing.enter_context(os.fdopen(opened, "a", encoding="utf-8", newline="")), REPORT_COLUMNS
                )
                if not path.stat().st_size:
                    writer.writeheader()
            writer.writerow({**asdict(row), "meaning": row.meaning})

        yield write


@contextmanager
def _progress() -> Iterator[Callable[[Outcome], None]]:
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
        task = bar.add_task("reading", total=None, rate="")
        began = time.monotonic()

        def show(done: Outcome) -> None:
            rate = done.rows / max(time.monotonic() - began, 1e-3)
            text = f"{rate:,.0f} rows/s, {done.events:,} events"
            bar.update(task, completed=done.rows, total=max(done.expected, done.rows), rate=text)

        yield show
