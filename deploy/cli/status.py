"""`yekbar status`: how far each view is, what is in quarantine, and which services are document-free."""

import time
from collections.abc import Iterable
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Any

import psycopg
import typer
from confluent_kafka.admin import AdminClient

from bus.errors import TransientError
from bus.kafka import admin
from consumers.status import Missing, Status
from consumers.status_reading import read_ends, read_status
from deploy.cli.local import DataFolder, environment_of
from deploy.cli.output import AsJson, console, error_console, print_json, print_table
from deploy.wiring import Wiring, wire

WATCH_EVERY_S = 2.0
_UNITS = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))

app = typer.Typer(add_completion=False)


@app.command()
def status(
    data: DataFolder = None,
    as_json: AsJson = False,
    watch: Annotated[bool, typer.Option("--watch", help="Show it again every two seconds, until Ctrl-C.")] = False,
) -> None:
    """Show each view against the end of its log, each source's completeness, quarantine, and document-free services.

    Example: yekbar status --watch
    """
    wiring = wire(environment_of(data))
    client = admin({**wiring.kafka, "log_level": 0})
    while True:
        found = _read(wiring, client)
        if watch and not as_json:
            console().clear()
        print_json(facts(found)) if as_json else _print(found)
        if not watch:
            return
        time.sleep(WATCH_EVERY_S)


def facts(found: Status) -> dict[str, Any]:
    """The status for a machine, with what follows from it."""
    return {
        "at": found.at,
        "document_free": {"procedures": found.document_free, "of": len(found.procedures)},
        "views": [asdict(one) | {"lag_events": one.lag_events} for one in found.views],
        "sources": [asdict(one) | {"missing": one.missing} for one in found.sources],
        "quarantine": [asdict(one) for one in found.quarantine],
        "procedures": [asdict(one) | {"is_document_free": one.is_document_free} for one in found.procedures],
        "agencies": [asdict(one) for one in found.agencies],
    }


def _read(wiring: Wiring, client: AdminClient) -> Status:
    ends = read_ends(client, wiring.catalogue)
    if ends is None:
        error_console().print("[yellow]Kafka does not answer: the ends of the log are not known.[/]")
    try:
        with wiring.database() as connection:
            return read_status(connection, ends, wiring.catalogue, datetime.now(UTC))
    except psycopg.OperationalError as exc:
        raise TransientError(
            "the database does not answer", remedy="check DATABASE_URL, or start a stack with 'yekbar up'"
        ) from exc


def _print(found: Status) -> None:
    print_table(
        "Views",
        ["record type", "rows", "read", "log", "lag", "complete as of"],
        (
            [one.view, one.rows, one.position, one.end_of_log, one.lag_events, ago(one.as_of, found.at)]
            for one in found.views
        ),
    )
    if found.sources:
        print_table(
            "Sources",
            ["record type", "source", "sent", "received", "missing", "last change", "all it sent until"],
            (
                [
                    one.view,
                    one.source,
                    one.highest_sequence,
                    one.received,
                    one.missing,
                    ago(one.recorded_at, found.at),
                    ago(one.whole_until, found.at),
                ]
                for one in found.sources
            ),
        )
    if found.quarantine:
        print_table(
            "In quarantine", ["record type", "reason", "events"], ([*asdict(one).values()] for one in found.quarantine)
        )
    print_table(
        "Agencies",
        ["agency", "record types", "with events", "services", "document-free", "open findings"],
        ([*asdict(one).values()] for one in found.agencies),
    )
    print_table(
        f"Document-free services: {found.document_free} of {len(found.procedures)}",
        ["service", "document-free", "what is missing"],
        ([one.procedure, one.is_document_free, _said(one.missing)] for one in found.procedures),
    )


def _said(missing: Iterable[Missing]) -> str | None:
    """What is missing, by reason; the JSON form names the view and the agreement too."""
    by_reason: dict[str, list[str]] = {}
    for one in missing:
        by_reason.setdefault(one.reason, []).append(one.evidence_type)
    return "\n".join(f"{reason}: {', '.join(names)}" for reason, names in by_reason.items()) or None


def ago(at: datetime | None, now: datetime) -> str | None:
    """How long ago something was, in its largest unit."""
    if at is None:
        return None
    seconds = max(int((now - at).total_seconds()), 0)
    unit, length = next((unit, length) for unit, length in _UNITS if seconds >= length or length == 1)
    return f"{seconds // length} {unit} ago"
