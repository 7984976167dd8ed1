"""The supervisor: the process that keeps a whole stack, until it is asked to stop or a part dies."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from deploy.local.errors import StackError
from deploy.local.process import end_process
from deploy.local.running import Running, find_running
from deploy.local.signals import StopSignals
from deploy.local.whole import WholeStack

WATCH_EVERY_S = 0.2
START_TIMEOUT_S = 300  # with the fetching of Kafka's jars over a slow line
STOP_TIMEOUT_S = 90  # each part has its own timeout, and is killed after it
POLL_S = 0.05
LOG = "supervisor.log"


def supervise(whole: WholeStack, on_ready: Callable[[], None], on_stopping: Callable[[], None]) -> None:
    """Keeps a stack until a signal asks to stop; every process has ended when it returns.

    Raises what the start raises, StopRequestedError when a signal came before the stack was ready, and PartDiedError
    when a part dies.
    """
    with StopSignals() as signals:
        try:
            with signals.interrupting():
                whole.start()
            on_ready()
            while not signals.wait(WATCH_EVERY_S):
                whole.check()
            on_stopping()
        finally:
            whole.stop()


def detach(folder: Path) -> Running:
    """Starts a supervisor in the background, and returns when its stack is ready.

    Raises StackError with what the supervisor said when it ends before. An interrupt ends the supervisor.
    """
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / LOG
    with log.open("wb") as output:
        supervisor = subprocess.Popen(
            [sys.executable, "-m", "deploy.cli.main", "up", "--data", str(folder)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    deadline = time.monotonic() + START_TIMEOUT_S
    try:
        while True:
            running = find_running(folder)
            if running is not None and running.is_ready and running.pid == supervisor.pid:
                return running
            if supervisor.poll() is not None:
                raise StackError(f"the stack did not start:\n{_said(log)}", remedy=f"the whole log is '{log}'")
            if time.monotonic() > deadline:
                raise StackError(f"the stack is not ready after {START_TIMEOUT_S} s", remedy=f"its log is '{log}'")
            time.sleep(POLL_S)
    except BaseException:
        supervisor.terminate()
        supervisor.wait(STOP_TIMEOUT_S)
        raise


def wait_until_ready(folder: Path) -> Running | None:
    """The stack that another process runs over a folder, once it is ready; None when none runs."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while (running := find_running(folder)) is not None and not running.is_ready and time.monotonic() < deadline:
        time.sleep(POLL_S)
    return running


def stop_running(running: Running) -> None:
    """Asks a stack's supervisor to stop, and returns when it has. Raises StackError when it does not."""
    assert running.pid != os.getpid()
    end_process(running.pid, running.birth, with_signal=signal.SIGTERM, timeout_s=STOP_TIMEOUT_S)
    if find_running(Path(running.folder)) is not None:
        raise StackError(
            f"the stack over '{running.folder}' does not stop", remedy=f"end the process {running.pid} by hand"
        )


def _said(log: Path) -> str:
    text = log.read_text(errors="replace")
    return text.rpartition("error: ")[2].strip() or "(it said nothing)"
