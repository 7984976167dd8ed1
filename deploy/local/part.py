"""A part of the stack, and how parts start together: each in a thread of its own, all stopped when one fails."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from threading import Event
from typing import Protocol

from deploy.local.process import ChildProcess


class Part(Protocol):
    """A service that the stack runs, or uses where one was given (then it has no process)."""

    name: str

    @property
    def place(self) -> str:
        """The address, without a secret."""

    @property
    def process(self) -> ChildProcess | None:
        """The process, once it was started."""

    def start(self, cancelled: Event | None = None) -> None:
        """Returns when the part answers. Raises StackError."""

    def stop(self) -> None:
        """Ends the part in order; harmless when it does not run."""


OnStarted = Callable[[Part, float], None]


def start_together(parts: Sequence[Part], on_started: OnStarted = lambda *_: None) -> None:
    """Starts parts that need nothing of each other; `on_started` hears of each, with its seconds, from its thread.

    Only these threads make processes, so an interrupt of the caller cannot fall between a process and its keeper.
    Raises what the first failing part raised; the caller stops the others.
    """
    cancelled = Event()

    def start(part: Part) -> None:
        began = time.monotonic()
        part.start(cancelled)
        on_started(part, time.monotonic() - began)

    with ThreadPoolExecutor(max(1, len(parts))) as pool:
        starting = [pool.submit(start, part) for part in parts]
        try:
            for ended in wait(starting, return_when=FIRST_EXCEPTION).done:
                ended.result()
        except BaseException:
            cancelled.set()
            wait(starting)
            raise


def stop_all(parts: Sequence[Part]) -> None:
    """Stops parts, the last first; one that fails to stop does not keep the others."""
    failed: list[Exception] = []
    for part in reversed(parts):
        try:
            part.stop()
        except Exception as exc:
            failed.append(exc)
    if failed:
        raise failed[0]
