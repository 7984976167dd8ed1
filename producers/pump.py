"""The pump: a thread that goes on when nobody publishes just now. Changes that wait are sent, acknowledgements taken.

It leaves the work to a thread that publishes busily, for two would only pass the interpreter's lock to and fro.
"""

import threading
import time
from collections.abc import Callable
from contextlib import suppress

from producers.sender import Sender

LINGER_S = 0.005  # how long a first change waits for others
BUSY_LINGER_S = 0.1  # how long many changes wait for the thread that publishes them to fill the batch
BUSY_DRAFTS = 100  # more than this within the linger is a busy thread
POLL_S = 0.002


class Pump:
    """Keeps a publisher going; the error that stops it is told by the publisher's next call."""

    def __init__(self, sender: Sender, send_drafts: Callable[[], None], waiting: Callable[[], int]) -> None:
        self._sender = sender
        self._send_drafts = send_drafts
        self._waiting = waiting
        self._woken = threading.Event()
        self._is_stopped = False
        self._thread = threading.Thread(target=self._run, name="pump", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """Tells that there is something to do."""
        self._woken.set()

    def stop(self) -> None:
        """Ends the thread."""
        self._is_stopped = True
        self._woken.set()
        self._thread.join()

    def _run(self) -> None:
        with suppress(Exception), self._sender.failing():  # the sender keeps it, and raises it at the next call
            while not self._is_stopped:
                self._woken.wait()
                self._woken.clear()
                self._pump_until_idle()

    def _pump_until_idle(self) -> None:
        since = time.monotonic()
        while not self._is_stopped:
            waiting = self._waiting()
            if not waiting:
                since = time.monotonic()
                if self._sender.is_idle:
                    return
            lingered_s = time.monotonic() - since
            if waiting and lingered_s >= (LINGER_S if waiting < BUSY_DRAFTS else BUSY_LINGER_S):
                self._send_drafts()
                since = time.monotonic()
            elif not self._sender.is_attended:
                self._sender.work(is_attending=False)
            time.sleep(POLL_S)
