"""Requests to stop, as signals bring them: once, and only where the program can be interrupted."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event
from types import FrameType

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
INTERRUPTED = 128  # plus the signal's number: the exit code, as shells say it


class StopRequestedError(BaseException):
    """Somebody asked the process to stop while it was starting; no Exception, for nothing may swallow it."""

    def __init__(self, number: int) -> None:
        super().__init__(f"stopped by {signal.Signals(number).name}")
        self.exit_code = INTERRUPTED + number


class StopSignals:
    """Catches the signals that ask to stop, until it is left. The first counts; more of them hurry nothing."""

    def __init__(self) -> None:
        self._requested = Event()
        self._number = 0
        self._may_raise = False
        self._earlier = {number: signal.signal(number, self._handle) for number in STOPPING}

    @contextmanager
    def interrupting(self) -> Iterator[None]:
        """A block that a request ends at once. Raises StopRequestedError, also for a request that came before."""
        self._may_raise = True
        try:
            if self._requested.is_set():
                raise StopRequestedError(self._number)
            yield
        finally:
            self._may_raise = False

    def wait(self, timeout_s: float) -> bool:
        """Whether a request has come, or comes within the time."""
        return self._requested.wait(timeout_s)

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        self._number = self._number or number
        self._requested.set()
        if self._may_raise:
            self._may_raise = False
            raise StopRequestedError(self._number)

    def __enter__(self) -> "StopSignals":
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._earlier.items():
            signal.signal(number, handler)
