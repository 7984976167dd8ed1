"""`yekbar quarantine`: what could not be applied, and what to do about it."""

import base64
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any

import psycopg
import typer

from bus.errors import SettingError
from bus.kafka import producer
from bus.reasons import Reason
from consumers.quarantine import LISTED_MAX, Entry, State, discard, list_entries, redrive, show_entry
from deploy.cli.output import AsJson, console, error_console, print_json, print_rows
from deploy.wiring import wire

app = typer.Typer(add_completion=False, no_args_is_help=True)

RecordTypeOption = Annotated[str | None, typer.Option("--record-type", help="Only events of this record type.")]
ReasonOption = Annotated[str | None, typer.Option("--reason", help="Only events with this reason code.")]
Entries = Annotated[list[int] | None, typer.Argument(help="Numbers of entries, as 'list' shows them.")]


@app.callback()
def quarantine() -> None:
    """List, show, redrive or discard events that could not be applied.

    Example: yekbar quarantine list --reason key-mismatch
    """


@app.command(name="list")
def list_command(
    record_type: RecordTypeOption = None,
    reason: ReasonOption = None,
    state: Annotated[State | None, typer.Option(help="Only entries in this state.")] = State.WAITING,
    every_state: Annotated[bool, typer.Option("--all", help="Entries in every state.")] = False,
    as_json: AsJson = False,
) -> None:
    """List what waits, the newest first.

    Example: yekbar quarantine list --record-type civil-registry.identity
    """
    with wire().database() as connection:
        entries = list_entries(connection, view=record_type, reason=reason, state=None if every_state else state)
    rows = [_row(entry) for entry in entries]
    print_rows(rows, title="quarantine", as_json=as_json)
    if len(entries) == LISTED_MAX:
        error_console().print(f"only the newest {LISTED_MAX} are shown; narrow it with --record-type or --reason")


@app.command()
def show(entry: Annotated[int, typer.Argument(help="The entry's number.")], as_json: AsJson = False) -> None:
    """Show one entry with all its context. The value's bytes, which hold a person's data, only in --json (base64).

    Example: yekbar quarantine show 12
    """
    with wire().database() as connection:
        found = show_entry(connection, entry)
    facts = {
        **_row(found),
        "meaning": Reason(found.reason).meaning,
        "known_at": found.known_at,
        "key_bytes": None if found.key is None else len(found.key),
        "value_bytes": None if found.value is None else len(found.value),
        "headers": ", ".join(str(name) for name, _ in found.headers) or None,
        "acted_at": found.acted_at,
        "note": found.note,
    }
    if as_json:
        print_json({**facts, "key": _base64(found.key), "value": _base64(found.value)})
        return
    width = max(map(len, facts))
    for name, fact in facts.items():
        console().print(f"[bold]{name:<{width}}[/]  {_shown(fact)}")


@app.command(name="redrive")
def redrive_command(
    entries: Entries = None,
    record_type: RecordTypeOption = None,
    reason: ReasonOption = None,
    as_json: AsJson = False,
) -> None:
    """Send the original bytes to their topic again, once what was wrong is mended. Repeats do no harm.

    Example: yekbar quarantine redrive --reason unknown-previous-event
    """
    wiring = wire()
    with wiring.database() as connection:
        chosen = _chosen(connection, entries, record_type, reason)
        count = redrive(connection, producer(wiring.kafka), chosen)
    _tell("redriven", count, as_json=as_json)


@app.command(name="discard")
def discard_command(
    note: Annotated[str, typer.Option(help="Why; it is kept with the entry.")],
    entries: Entries = None,
    record_type: RecordTypeOption = None,
    reason: ReasonOption = None,
    as_json: AsJson = False,
) -> None:
    """Mark entries as never to be applied. The entry, its bytes and your reason stay for the auditors.

    Example: yekbar quarantine discard 12 --note "test message, agreed with the agency"
    """
    with wire().database() as connection:
        count = discard(connection, _chosen(connection, entries, record_type, reason), note=note)
    _tell("discarded", count, as_json=as_json)


def _chosen(
    connection: psycopg.Connection[Any], entries: Sequence[int] | None, view: str | None, reason: str | None
) -> list[Entry]:
    if entries:
        return [show_entry(connection, entry) for entry in entries]
    if view is None and reason is None:
        raise SettingError("no entry is named", remedy="name entries, or choose with --record-type or --reason")
    return list_entries(connection, view=view, reason=reason, state=State.WAITING)


def _tell(done: str, count: int, *, as_json: bool) -> None:
    if as_json:
        print_json({done: count})
    else:
        console().print(f"{count} entries {done}")


def _row(entry: Entry) -> dict[str, Any]:
    return {
        "entry": entry.entry,
        "record_type": entry.view,
        "partition": entry.partition,
        "position": entry.position,
        "reason": entry.reason,
        "detail": entry.detail or None,
        "state": entry.state,
        "quarantined_at": entry.quarantined_at.isoformat(timespec="seconds"),
    }


def _base64(content: bytes | None) -> str | None:
    return None if content is None else base64.b64encode(content).decode()


def _shown(fact: Any) -> str:
    if isinstance(fact, datetime):
        return fact.isoformat(timespec="seconds")
    return "–" if fact is None else str(fact)
