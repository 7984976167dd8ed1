"""`yekbar relay`: what an agency's application writes to its outbox goes onto the bus."""

import signal
import threading
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated

import typer

from bus.errors import SettingError
from deploy.cli.output import AsJson, error_console, print_json
from deploy.wiring import Wiring, wire
from producers.heartbeat import Heart
from producers.journal import Journal
from producers.outbox import OutboxRelay
from producers.outbox_journal import outbox_ddl
from producers.publisher import Publisher
from registry.contracts import RecordType

app = typer.Typer(add_completion=False)

Database = Annotated[
    str | None,
    typer.Argument(envvar="OUTBOX_DATABASE_URL", help="The agency's own PostgreSQL database: postgresql://…"),
]


@app.command()
def relay(
    database: Database = None,
    schema: Annotated[str, typer.Option(help="The database schema that holds the outbox.")] = "outbox",
    name: Annotated[str, typer.Option(help="Sources are called RECORD_TYPE/NAME.")] = "outbox",
    ddl: Annotated[bool, typer.Option("--ddl", help="Print the statements that make an outbox, and end.")] = False,
    as_json: AsJson = False,
) -> None:
    """Bring changes from an agency's outbox onto the bus as they are committed, until Ctrl-C.

    The application inserts into the table 'changes' in its own transaction; a change leaves it when the log has its
    event, or moves to 'refused' with the field at fault. Of several relays one works, and another takes over.

    Example: yekbar relay --ddl | psql postgresql://me@host/agency && yekbar relay postgresql://me@host/agency
    """
    if ddl:
        typer.echo(outbox_ddl(schema), nl=False)
        return
    if database is None:
        raise SettingError("no database is named", remedy="give its URL, or set OUTBOX_DATABASE_URL")
    wiring = wire()
    must_stop = threading.Event()
    _stop_on_signals(must_stop)
    relaying = _relay(wiring, database, schema=schema, name=name)
    heart = Heart(kafka=wiring.kafka, registry=wiring.registry)

    def beat(last_sequences: Mapping[str, int], until: datetime) -> None:
        for record_type, last in last_sequences.items():
            source = relaying.source_of(record_type)
            heart.beat(wiring.record_type(record_type), source=source, last_sequence=last, complete_until=until)

    try:
        relaying.run(must_stop, on_complete=beat)
    finally:
        heart.close()
    if as_json:
        print_json({"relayed": relaying.relayed, "refused": relaying.refused})
    else:
        error_console().print(f"{relaying.relayed:,} changes were relayed, {relaying.refused:,} were refused")


def _relay(wiring: Wiring, database: str, *, schema: str, name: str) -> OutboxRelay:
    def open_publisher(record_type: RecordType, source: str, journal: Journal) -> Publisher:
        return Publisher(
            record_type,
            source=source,
            kafka=wiring.kafka,
            registry=wiring.registry,
            pseudonymizer=wiring.pseudonymizer,
            journal=journal,
        )

    record_types = {str(one.id): one for one in wiring.catalogue.record_types.values()}
    return OutboxRelay(database, schema=schema, name=name, record_types=record_types, open_publisher=open_publisher)


def _stop_on_signals(must_stop: threading.Event) -> None:
    """The first signal lets what is on its way arrive; a second one does not wait: the outbox keeps it."""

    def stop(*_: object) -> None:
        if must_stop.is_set():
            raise KeyboardInterrupt
        must_stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
