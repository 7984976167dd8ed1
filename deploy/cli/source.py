"""`yekbar source`: what each source says of itself, and the end of one that is gone for good."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from bus.errors import SettingError
from consumers.heartbeats import completeness, retire_source
from deploy.cli.output import AsJson, console, print_rows
from deploy.wiring import wire

app = typer.Typer(add_completion=False, no_args_is_help=True)


@app.callback()
def source() -> None:
    """List what each source has sent, and retire one that is gone.

    Example: yekbar source list
    """


@app.command(name="list")
def list_command(as_json: AsJson = False) -> None:
    """List each source: what it sent, what is missing, when it was heard, and until when all that it sent is there.

    Example: yekbar source list
    """
    now = datetime.now(UTC)
    with wire().database() as connection:
        found = completeness(connection)
    rows = [
        {
            "record_type": one.view,
            "source": one.source,
            "sent": one.sent,
            "missing": one.missing,
            "heard_s_ago": None if one.heard_at is None else round((now - one.heard_at).total_seconds(), 1),
            "has_heartbeat": one.has_heart,
            "all_it_sent_until": one.whole_until,
        }
        for one in found
    ]
    print_rows(rows, title="sources", as_json=as_json)


@app.command()
def retire(
    name: Annotated[str, typer.Argument(metavar="SOURCE", help="The source, as 'yekbar source list' names it.")],
) -> None:
    """Retire a source that is gone for good: its silence makes no view stale any more; its events stay.

    Example: yekbar source retire civil-registry.identity/outbox
    """
    wiring = wire()
    with wiring.database() as connection:
        known = sorted(one.source for one in completeness(connection) if one.has_heart)
    if name not in known:
        raise SettingError(
            f"no source '{name}' has a heartbeat", remedy=f"those that have are {', '.join(known) or '-'}"
        )
    retire_source(wiring.kafka, name)
    console().print(f"{name}: retired")
