"""What goes on beside the evidence API, in a process of its own, so that it takes no time from those who ask.

Accesses and changes of agreements go to their topics, and the last word of each source comes from the topic of
heartbeats. Of several such processes one relays; when it dies, another goes on.
"""

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.synchronize import Event
from typing import Any

import structlog

from bus.database import Job
from bus.errors import BusError
from bus.telemetry import configure_logging
from consumers.accesses.contract import access_contract
from consumers.accesses.flow import access_flow
from consumers.agreements.flow import agreement_flow
from consumers.errors import LogAccidentError
from consumers.heartbeats import HeartbeatKeeper
from consumers.relay import Outflow, TableRelay
from deploy.wiring import Wiring, wire
from registry.errors import RegistryError

RETRY_S = 2.0
WATCH_S = 0.5
GRACE_S = 1.0
STOP_TIMEOUT_S = 3.0
assert GRACE_S + WATCH_S < STOP_TIMEOUT_S, "who ends in order must not be killed"

log = structlog.get_logger()

Keep = Callable[[threading.Event], None]


@contextmanager
def bookkeeping() -> Iterator[None]:
    """Keeps the books while the block runs."""
    context = multiprocessing.get_context("spawn")
    stop = context.Event()
    process = context.Process(target=_work, args=(stop,), name="bookkeeper", daemon=True)
    process.start()
    try:
        yield
    finally:
        stop.set()
        process.join(STOP_TIMEOUT_S)
        process.kill()  # a broker that is away is not waited for: what is not relayed yet stays in its table


def keepers(wiring: Wiring) -> dict[str, Keep]:
    """All that is kept, by name; each runs until it is told to stop."""

    def relayed(outflow: Callable[[], Outflow]) -> Keep:
        def keep(must_stop: threading.Event) -> None:
            relay = TableRelay(database_url=wiring.database_url(Job.BOOKKEEPER), kafka=wiring.kafka, outflow=outflow())
            relay.run(must_stop)

        return keep

    return {
        "accesses": relayed(lambda: access_flow(access_contract(), wiring.registry)),
        "agreements": relayed(lambda: agreement_flow(wiring.registry)),
        "heartbeats": HeartbeatKeeper(database_url=wiring.database_url(Job.BOOKKEEPER), kafka=wiring.kafka).run,
    }


def _work(stop: Event) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # they reach the whole group: the parent tells us to stop
    configure_logging()
    parent: Any = multiprocessing.parent_process()
    must_stop = threading.Event()
    threads = [
        threading.Thread(target=_keep, args=(name, keep, must_stop), name=name, daemon=True)
        for name, keep in keepers(wire()).items()
    ]
    for thread in threads:
        thread.start()
    while not stop.wait(WATCH_S) and parent.is_alive():
        pass
    must_stop.set()
    until = time.monotonic() + GRACE_S
    for thread in threads:
        thread.join(max(until - time.monotonic(), 0))
    os._exit(0)  # a client that waits for a broker that is away would hold the process for its whole timeout


def _keep(name: str, keep: Keep, must_stop: threading.Event) -> None:
    """Keeps one book; the registry or a broker that is away is waited for, an accident of the log is not."""
    while not must_stop.is_set():
        try:
            keep(must_stop)
        except LogAccidentError as exc:
            log.error("book_closed", book=name, what=str(exc))
            return
        except (RegistryError, BusError) as exc:
            log.warning("book_awaits", book=name, fault=type(exc).__name__)
        except Exception as exc:  # the outermost place of a book: the others go on, and we hear of it
            log.error("book_broken_off", book=name, fault=type(exc).__name__, what=str(exc))
        must_stop.wait(RETRY_S)
