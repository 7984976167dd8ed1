"""`yekbar audit accesses --check`: whether the table of accesses and its topic say the same."""

from dataclasses import asdict

import typer

from bus.database import Job
from consumers.accesses.contract import access_contract
from consumers.accesses.flow import access_flow
from consumers.audit.access_check import AccessDifference, CheckedAccesses, check_accesses
from consumers.audit.log import Log
from deploy.cli.output import console, error_console, print_json, print_table, progress
from deploy.wiring import Wiring

FOUND_SOMETHING = 1


def check(wiring: Wiring, *, limit: int, as_json: bool) -> None:
    """Compares them, and ends with 1 when they differ."""
    flow = access_flow(access_contract(), wiring.registry)
    with Log(wiring.kafka) as log, wiring.database(Job.AUDITOR) as connection, progress() as bar:
        task = bar.add_task("comparing", total=sum(one.length for one in log.bounds(flow.topic).values()))
        checked = check_accesses(log, connection, flow, wiring.registry, tell=lambda count: bar.advance(task, count))
    if as_json:
        print_json(asdict(checked) | {"is_equal": not checked.differences})
    else:
        _show(checked, limit)
    if checked.differences:
        raise typer.Exit(FOUND_SOMETHING)


def _show(checked: CheckedAccesses, limit: int) -> None:
    if not checked.differences:
        console().print(
            f"the table and the topic of accesses say the same: {checked.in_table:,} rows, {checked.in_topic:,} events"
        )
        return
    shown = checked.differences[:limit]
    columns = ["what", "access", "log", "columns"]
    print_table("Differences", columns, [[one.kind, one.access_id, _place(one), _columns(one)] for one in shown])
    error_console().print(
        f"{len(checked.differences):,} differences between {checked.in_table:,} rows of the table"
        f" and {checked.in_topic:,} events of the topic"
    )
    if any(one.kind == "not-relayed" for one in checked.differences):
        error_console().print("some were not relayed yet: 'yekbar serve' does it; its log says when it cannot")


def _place(one: AccessDifference) -> str | None:
    return None if one.position is None else f"{one.partition}:{one.position}"


def _columns(one: AccessDifference) -> str | None:
    return ", ".join(one.columns) or None
