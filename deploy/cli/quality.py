"""`yekbar quality`: what quality rules found, and what is still open."""

from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from consumers.quality import LISTED_MAX, Finding, RuleFindings, findings_by_rule, list_findings
from deploy.cli.output import AsJson, error_console, print_rows
from deploy.cli.status import ago
from deploy.wiring import wire

app = typer.Typer(add_completion=False)


@app.command()
def quality(
    agency: Annotated[str | None, typer.Option(help="Only findings about this agency's records.")] = None,
    rule: Annotated[str | None, typer.Option(help="Only findings of this rule.")] = None,
    only_open: Annotated[bool, typer.Option("--open", help="Only what is open still.")] = False,
    events: Annotated[bool, typer.Option("--events", help="Each finding with its event's place in the log.")] = False,
    as_json: AsJson = False,
) -> None:
    """List what quality rules found, by agency and rule, with the age of the oldest that is open.

    A finding closes when its event is corrected or annulled, or when the other register knows the person.

    Example: yekbar quality --agency welfare --open
    """
    now = datetime.now(UTC)
    with wire().database() as connection:
        if events:
            single = list_findings(connection, agency=agency, rule=rule, only_open=only_open)
            rows = [_event_row(one, now, as_json=as_json) for one in single]
        else:
            by_rule = findings_by_rule(connection, agency=agency, rule=rule, only_open=only_open)
            rows = [_rule_row(one, now, as_json=as_json) for one in by_rule]
    print_rows(rows, title="findings", as_json=as_json)
    if events and len(rows) == LISTED_MAX:
        error_console().print(f"only the newest {LISTED_MAX} are shown; narrow it with --agency, --rule or --open")


def _rule_row(one: RuleFindings, now: datetime, *, as_json: bool) -> dict[str, Any]:
    row = {
        "agency": one.agency,
        "record_type": one.record_type,
        "rule": one.rule,
        "field": one.field,
        "found": one.found,
        "open": one.open,
    }
    if as_json:
        return {**row, "open_since": one.open_since, "last_found": one.last_found}
    return {**row, "oldest open": ago(one.open_since, now), "last": ago(one.last_found, now)}


def _event_row(one: Finding, now: datetime, *, as_json: bool) -> dict[str, Any]:
    row = {
        "finding": one.finding,
        "record_type": one.record_type,
        "rule": one.rule,
        "field": one.field,
        "event_id": one.event_id,
        "partition": one.partition,
        "position": one.position,
        "state": one.state,
    }
    if as_json:
        return {
            "agency": one.agency,
            **row,
            "known_at": one.known_at,
            "found_at": one.found_at,
            "undone_at": one.undone_at,
            "settled_at": one.settled_at,
        }
    return {**row, "age": ago(one.known_at, now)}
