"""`yekbar materialize`: keeps the views equal to the log."""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from bus.database import Job
from bus.metrics import counted_together, served
from consumers.accesses.contract import access_contract
from consumers.materializer.run import Assembly, Progress, materialize
from consumers.materializer.worker import GROUP
from consumers.status_metrics import StatusCollector
from deploy.cli.output import AsJson, error_console, print_json, progress
from deploy.wiring import Wiring, wire

ILL_AFTER_S = 30.0  # without a word of database and broker; a restart of either is quicker

app = typer.Typer(add_completion=False)


class Pulse:
    """Whether database and broker have answered lately, for `/healthz`."""

    def __init__(self) -> None:
        self._at = time.monotonic()

    def beat(self) -> None:
        """They have."""
        self._at = time.monotonic()

    def fault(self) -> str | None:
        """What is wrong, if anything is."""
        silent_s = time.monotonic() - self._at
        return None if silent_s < ILL_AFTER_S else f"the database or Kafka has not answered for {silent_s:.0f} s"


@app.command(name="materialize")
def command(
    workers: Annotated[int, typer.Option(min=1, max=64, help="Processes; each takes a share of the partitions.")] = 1,
    until_caught_up: Annotated[
        bool, typer.Option("--until-caught-up", help="End when the views hold all that the log holds.")
    ] = False,
    metrics_port: Annotated[
        int | None, typer.Option(min=0, max=65_535, help="Serve /metrics and /healthz on this port of the machine.")
    ] = None,
    trace: Annotated[
        bool,
        typer.Option(
            "--trace", envvar="YEKBAR_TRACE", help="Log each step of one event a second, without what it says."
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Keep the views equal to the log, until Ctrl-C.

    Example: yekbar materialize --workers 2 --metrics-port 9464
    """
    wiring = wire()
    assembly = Assembly(
        kafka=wiring.kafka,
        database_url=wiring.database_url(Job.MATERIALIZER),
        schema_registry_url=wiring.settings.schema_registry_url,
        record_types=(*wiring.catalogue.record_types.values(), access_contract()),
        group=GROUP,
        is_traced=trace,
    )
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    pulse = Pulse()
    with _metrics(wiring, metrics_port, pulse), progress() as bar:
        task = bar.add_task("materializing", total=None)

        def show(now: Progress) -> None:
            pulse.beat()
            bar.update(task, completed=now.done, total=now.known)

        done = materialize(
            assembly,
            workers=workers,
            until_caught_up=until_caught_up,
            is_stopped=stopped.is_set,
            on_progress=show,
        )
    if as_json:
        print_json({"done": done.done, "known": done.known, "lag": done.lag})
    else:
        error_console().print(f"{done.done:,} events of the log are in the views, {done.lag:,} are not yet")


@contextmanager
def _metrics(wiring: Wiring, port: int | None, pulse: Pulse) -> Iterator[None]:
    """Serves the metrics of this process and its workers, where that is asked for."""
    if port is None:
        yield
        return
    collector = StatusCollector(wiring.catalogue, kafka=wiring.kafka, database_url=wiring.settings.database_url)
    with counted_together(), served(port, collector, fault=pulse.fault) as at:
        error_console().print(f"metrics on http://127.0.0.1:{at}/metrics")
        yield
