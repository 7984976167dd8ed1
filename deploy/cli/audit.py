"""`yekbar audit`: what the log says, what the views say, and who asked."""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any, TypeVar
from uuid import UUID

import psycopg
import typer

from bus.database import Job
from bus.errors import SettingError
from bus.topics import records_topic
from consumers.audit.accesses import accesses as list_accesses
from consumers.audit.diff import Compared
from consumers.audit.diff import diff as compare
from consumers.audit.log import Log, Tell
from consumers.audit.person import told_by_log, told_by_view
from consumers.audit.replay import Replayed, Until, stretches_until
from consumers.audit.replay import replay as rebuild
from consumers.audit.verify import Verified, shared_sources
from consumers.audit.verify import verify as examine
from consumers.materializer.check import Checker
from deploy.cli.access_check import check as check_accesses
from deploy.cli.audit_tables import (
    show_accesses,
    show_compared,
    show_replayed,
    show_told,
    show_verified,
    told_facts,
)
from deploy.cli.output import AsJson, error_console, print_json, progress
from deploy.wiring import Wiring, wire
from registry.contracts import RecordType

Result = TypeVar("Result")
FOUND_SOMETHING = 1
LISTED_MAX = 100  # of a sort and record type: a person reads them

app = typer.Typer(add_completion=False, no_args_is_help=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """What an audit works on."""

    log: Log
    connection: psycopg.Connection[Any]


class Witness(StrEnum):
    """Whose word is taken."""

    LOG = "log"
    VIEW = "view"


def instant(text: str) -> datetime:
    """An instant as people type it; without a zone it is UTC."""
    try:
        said = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"'{text}' is no time; write it like 2026-03-21T08:30:00Z") from None
    return said if said.tzinfo else said.replace(tzinfo=UTC)


RecordTypes = Annotated[list[str] | None, typer.Argument(metavar="RECORD_TYPE", help="All when none is named.")]
Person = Annotated[str, typer.Argument(metavar="NATIONAL_ID", help="In digits of any script; - reads it from stdin.")]
Limit = Annotated[int, typer.Option(min=1, help="How many to list of each sort.")]


@app.callback()
def audit() -> None:
    """Replay the log, compare it with the views, tell one person's timeline, list accesses.

    Live positions are never touched, and nothing is committed to Kafka.

    Example: yekbar audit diff
    """


@app.command()
def replay(
    record_types: RecordTypes = None,
    until: Annotated[
        datetime | None, typer.Option(parser=instant, metavar="TIME", help="Only what was known at this time.")
    ] = None,
    until_position: Annotated[
        list[str] | None,
        typer.Option(metavar="PARTITION:POSITION", help="Stop before this position; other partitions to their end."),
    ] = None,
    into: Annotated[str | None, typer.Option(metavar="NAME", help="Keep it by this name; else by the time.")] = None,
    as_json: AsJson = False,
) -> None:
    """Rebuild views from the log alone, in database schemas of their own.

    Example: yekbar audit replay civil-registry.identity --until 2026-03-21T08:30:00Z --into new-year
    """
    end = Until(time=until, positions=_positions(until_position or [], record_types or []))
    name = into or datetime.now(UTC).strftime("%Y%m%dT%H%M%S")

    def one(bench: Bench, checker: Checker, tell: Tell) -> Replayed:
        stretches = stretches_until(bench.log, records_topic(checker.record_type.id), end)
        return rebuild(bench.log, bench.connection, checker, name=name, stretches=stretches, tell=tell)

    done = _each(record_types, "replaying", one)
    if as_json:
        print_json([asdict(replayed) for replayed in done])
        return
    show_replayed(done)


@app.command()
def diff(record_types: RecordTypes = None, limit: Limit = LISTED_MAX, as_json: AsJson = False) -> None:
    """Compare live views with the replay of their log, row by row; exit 1 when they differ.

    Each difference is named by where the log has the event, never by what it says.

    Example: yekbar audit diff civil-registry.identity
    """

    def one(bench: Bench, checker: Checker, tell: Tell) -> Compared:
        return compare(bench.log, bench.connection, checker, limit=limit, tell=tell)

    done = _each(record_types, "comparing", one)
    if as_json:
        print_json([{**asdict(compared), "is_equal": compared.is_equal} for compared in done])
    else:
        show_compared(done)
    if not all(compared.is_equal for compared in done):
        raise typer.Exit(FOUND_SOMETHING)


@app.command()
def timeline(
    record_type: Annotated[str, typer.Argument(help="The record type.")],
    national_id: Person,
    known_at: Annotated[
        datetime | None, typer.Option(parser=instant, metavar="TIME", help="By what was known at this time.")
    ] = None,
    witness: Annotated[Witness, typer.Option("--from", help="Read the log, or quickly the view.")] = Witness.LOG,
    as_json: AsJson = False,
) -> None:
    """Tell one person's records: each event with what became of it, and what holds when.

    Example: yekbar audit timeline civil-registry.life-status - --known-at 2026-03-21
    """
    wiring = wire()
    contract = wiring.record_type(record_type)
    subject = _subject(wiring, national_id)
    if witness is Witness.VIEW:
        with wiring.database(Job.AUDITOR) as connection:
            told = told_by_view(connection, contract, subject, known_at=known_at)
    else:
        with Log(wiring.kafka) as log, _bar(log, [contract], f"reading {contract.id}") as tell:
            told = told_by_log(log, Checker(contract, wiring.registry), subject, known_at=known_at, tell=tell)
    if as_json:
        print_json(told_facts(told))
    else:
        show_told(contract, told)


@app.command()
def accesses(
    national_id: Annotated[
        str | None, typer.Argument(metavar="[NATIONAL_ID]", help="Only about this person; - reads it from stdin.")
    ] = None,
    since: Annotated[datetime | None, typer.Option(parser=instant, metavar="TIME", help="Only since then.")] = None,
    is_checked: Annotated[
        bool, typer.Option("--check", help="Compare the table of all accesses with their topic; exit 1 if they differ.")
    ] = False,
    limit: Limit = LISTED_MAX,
    as_json: AsJson = False,
) -> None:
    """List who asked for evidence, on which ground, and which claims left; the newest first.

    Example: yekbar audit accesses - --since 2026-03-21
    """
    wiring = wire()
    if is_checked:
        check_accesses(wiring, limit=limit, as_json=as_json)
        return
    subject = None if national_id is None else _subject(wiring, national_id)
    with wiring.database(Job.AUDITOR) as connection:
        found = list_accesses(connection, subject=subject, since=since, limit=limit)
    if as_json:
        print_json([asdict(one) for one in found])
        return
    show_accesses(found)
    if len(found) == limit:
        error_console().print(f"only the newest {limit:,} are shown; see --limit and --since")


@app.command()
def verify(record_types: RecordTypes = None, limit: Limit = LISTED_MAX, as_json: AsJson = False) -> None:
    """Verify that logs are whole by what they say of themselves; exit 1 when something is wrong.

    Sequences without gaps, one event for each, one person for each event id, positions without holes, time forwards.

    Example: yekbar audit verify
    """

    def one(bench: Bench, checker: Checker, tell: Tell) -> Verified:
        return examine(bench.log, checker, limit=limit, tell=tell)

    done = _each(record_types, "verifying", one)
    shared = shared_sources(done)
    if as_json:
        print_json({"logs": [asdict(one) for one in done], "shared_sources": [asdict(one) for one in shared]})
    else:
        show_verified(done, shared)
    if shared or any(one.count for one in done):
        raise typer.Exit(FOUND_SOMETHING)


def _each(names: Sequence[str] | None, doing: str, one: Callable[[Bench, Checker, Tell], Result]) -> list[Result]:
    """What is found for each record type, under one progress bar."""
    wiring = wire()
    chosen = [wiring.record_type(name) for name in names or sorted(wiring.catalogue.record_types)]
    with (
        Log(wiring.kafka) as log,
        wiring.database(Job.AUDITOR) as connection,
        _bar(log, chosen, doing) as tell,
    ):
        bench = Bench(log=log, connection=connection)
        return [one(bench, Checker(record_type, wiring.registry), tell) for record_type in chosen]


@contextmanager
def _bar(log: Log, chosen: Sequence[RecordType], doing: str) -> Iterator[Tell]:
    total = sum(stretch.length for one in chosen for stretch in log.bounds(records_topic(one.id)).values())
    with progress() as bar:
        task = bar.add_task(doing, total=total)
        yield lambda passed: bar.advance(task, passed)


def _subject(wiring: Wiring, national_id: str) -> UUID:
    typed = sys.stdin.readline().strip() if national_id == "-" else national_id
    return wiring.pseudonymizer.subject(typed)


def _positions(typed: Sequence[str], record_types: Sequence[str]) -> Mapping[int, int]:
    """Positions by partition; they mean something for one record type only. Raises SettingError."""
    if typed and len(record_types) != 1:
        raise SettingError("a position is one of one topic", remedy="name one record type with --until-position")
    positions = {}
    for text in typed:
        partition, _, position = text.partition(":")
        if not (partition.isdecimal() and position.isdecimal()):
            raise SettingError(f"'{text}' is no position", remedy="write PARTITION:POSITION, like 0:1200")
        positions[int(partition)] = int(position)
    return positions
