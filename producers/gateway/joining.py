"""Joining: requests that wait for one record type go to its publisher together, in a thread of its own."""

import asyncio
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from uuid import UUID

import structlog

from bus.errors import RefusedError
from producers.change import Change
from producers.publisher import Publisher

CHANGES_WAITING_MAX = 20_000  # beyond it callers are told to come again
CHANGES_TOGETHER_MAX = 5_000  # that share one wait for the broker

Results = Sequence[UUID | RefusedError]
log = structlog.get_logger()


class BusyError(Exception):
    """More changes wait than can be sent soon."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Waiting:
    changes: Sequence[Change] = field(repr=False)
    answer: asyncio.Future[Results]
    loop: asyncio.AbstractEventLoop

    def tell(self, results: Results | Exception) -> None:
        self.loop.call_soon_threadsafe(self._set, results)

    def _set(self, results: Results | Exception) -> None:
        if self.answer.done():
            return
        if isinstance(results, Exception):
            self.answer.set_exception(results)
        else:
            self.answer.set_result(results)


class Joiner:
    """One publisher, opened at the first change; an answer comes only once the log has what was accepted."""

    def __init__(self, opening: Callable[[], Publisher]) -> None:
        self._opening = opening
        self._publisher: Publisher | None = None
        self._queue: SimpleQueue[_Waiting | None] = SimpleQueue()
        self._waiting = 0  # changes; the event loop alone counts
        self._thread = threading.Thread(target=self._run, name="gateway", daemon=True)
        self._thread.start()

    async def publish(self, changes: Sequence[Change]) -> Results:
        """For each change its event's id or why it is refused. Raises BusyError, and whatever stopped the sending."""
        if self._waiting + len(changes) > CHANGES_WAITING_MAX:
            raise BusyError
        loop = asyncio.get_running_loop()
        waiting = _Waiting(changes=changes, answer=loop.create_future(), loop=loop)
        self._waiting += len(changes)
        waiting.answer.add_done_callback(lambda _: self._leave(len(changes)))
        self._queue.put(waiting)
        return await asyncio.shield(waiting.answer)

    def stop(self) -> None:
        """Tells the thread to end once what waits is sent; the journal keeps what the broker has not taken."""
        self._queue.put(None)

    def _leave(self, count: int) -> None:
        self._waiting -= count

    def _run(self) -> None:
        while (first := self._queue.get()) is not None:
            together, is_last = self._joined(first)
            try:
                self._publish(together)
            except Exception as exc:  # the thread's outermost place: every caller hears of it
                log.error("gateway_publishing_failed", fault=type(exc).__name__)
                self._abandon()
                for one in together:
                    one.tell(exc)
            if is_last:
                break
        if self._publisher is not None:
            self._publisher.close()

    def _joined(self, first: _Waiting) -> tuple[list[_Waiting], bool]:
        together, count = [first], len(first.changes)
        while count < CHANGES_TOGETHER_MAX:
            try:
                one = self._queue.get_nowait()
            except Empty:
                break
            if one is None:
                return together, True
            together.append(one)
            count += len(one.changes)
        return together, False

    def _publish(self, together: Sequence[_Waiting]) -> None:
        if self._publisher is None:
            self._publisher = self._opening()
        results = self._publisher.publish_all(change for one in together for change in one.changes)
        self._publisher.flush()
        start = 0
        for one in together:
            one.tell(results[start : start + len(one.changes)])
            start += len(one.changes)

    def _abandon(self) -> None:
        """Gives up a publisher that stopped; the next one takes up what its journal holds."""
        stopped, self._publisher = self._publisher, None
        if stopped is not None:
            try:
                stopped.close()
            except Exception as exc:
                log.warning("stopped_publisher_closed", fault=type(exc).__name__)
