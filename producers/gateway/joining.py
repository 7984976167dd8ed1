"""Joining: requests that wait for one record type go to its publisher together, in a thread of its own."""

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import Any

import structlog

from bus.errors import RefusedError
from producers.gateway.reading import ChangeReader, Fault
from producers.publisher import Published, Publisher
from registry.contracts import RecordType

CHANGES_WAITING_MAX = 20_000  # beyond it callers are told to come again
CHANGES_TOGETHER_MAX = 5_000  # that share one wait for the broker
STALLED_AFTER_S = 5  # without the broker's word, callers are no longer let wait for it

Result = Published | RefusedError | Fault
log = structlog.get_logger()


class BusyError(Exception):
    """More changes wait than can be sent soon."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Waiting:
    items: Sequence[Any] = field(repr=False)
    answer: asyncio.Future[list[Result]]
    loop: asyncio.AbstractEventLoop

    def tell(self, results: list[Result] | Exception) -> None:
        with suppress(RuntimeError):  # the loop has ended, and with it whoever waited
            self.loop.call_soon_threadsafe(self._set, results)

    def _set(self, results: list[Result] | Exception) -> None:
        if self.answer.done():
            return
        if isinstance(results, Exception):
            self.answer.set_exception(results)
        else:
            self.answer.set_result(results)


class Joiner:
    """One publisher, opened at the first change; an answer comes only once the log has what was accepted."""

    def __init__(self, record_type: RecordType, opening: Callable[[RecordType], Publisher]) -> None:
        self._record_type = record_type
        self._opening = opening
        self._reader = ChangeReader(record_type)
        self._publisher: Publisher | None = None
        self._queue: SimpleQueue[_Waiting | None] = SimpleQueue()
        self._waiting = 0  # changes; the event loop alone counts
        self._working_since = float("inf")
        self._thread = threading.Thread(target=self._run, name="gateway", daemon=True)
        self._thread.start()

    @property
    def is_busy(self) -> bool:
        """Whether more changes wait than can be sent soon."""
        return self._waiting >= CHANGES_WAITING_MAX

    @property
    def is_stalled(self) -> bool:
        """Whether the broker has not given its word for so long that it must be away."""
        return time.monotonic() - self._working_since > STALLED_AFTER_S

    async def publish(self, items: Sequence[Any]) -> list[Result]:
        """What became of each item. Raises BusyError, and whatever stopped the sending.

        A caller that no longer waits when its turn comes is passed by.
        """
        if self._waiting + len(items) > CHANGES_WAITING_MAX:
            raise BusyError
        loop = asyncio.get_running_loop()
        waiting = _Waiting(items=items, answer=loop.create_future(), loop=loop)
        self._waiting += len(items)
        waiting.answer.add_done_callback(lambda _: self._leave(len(items)))
        self._queue.put(waiting)
        return await waiting.answer

    def stop(self) -> None:
        """Tells the thread to end once what waits is sent; the journal keeps what the broker has not taken."""
        self._queue.put(None)

    def join(self, timeout_s: float) -> None:
        """Waits for the thread to end."""
        self._thread.join(timeout_s)

    def _leave(self, count: int) -> None:
        self._waiting -= count

    def _run(self) -> None:
        is_last = False
        while not is_last and (first := self._queue.get()) is not None:
            together, is_last = self._joined(first)
            self._working_since = time.monotonic()
            try:
                self._publish([one for one in together if not one.answer.done()])
            except Exception as exc:  # the thread's outermost place: every caller hears of it
                log.error("gateway_publishing_failed", record_type=self._record_type.id, fault=type(exc).__name__)
                self._abandon()
                for one in together:
                    one.tell(exc)
            self._working_since = float("inf")
        if self._publisher is not None:
            self._publisher.close()

    def _joined(self, first: _Waiting) -> tuple[list[_Waiting], bool]:
        together, count = [first], len(first.items)
        while count < CHANGES_TOGETHER_MAX:
            try:
                one = self._queue.get_nowait()
            except Empty:
                break
            if one is None:
                return together, True
            together.append(one)
            count += len(one.items)
        return together, False

    def _publish(self, together: Sequence[_Waiting]) -> None:
        if self._publisher is None:
            self._publisher = self._opening(self._record_type)
        changes = self._reader.read([item for one in together for item in one.items])
        results: dict[int, Result] = dict(changes.faults)
        if changes.frame.height:
            told = self._publisher.publish_once(changes.frame, changes.marks)
            results.update(zip(changes.items, told, strict=True))
        self._publisher.flush()  # also where all are repeats: the first of them may still be on its way
        start = 0
        for one in together:
            one.tell([results[item] for item in range(start, start + len(one.items))])
            start += len(one.items)

    def _abandon(self) -> None:
        """Gives up a publisher that stopped; the next one takes up what its journal holds."""
        stopped, self._publisher = self._publisher, None
        if stopped is not None:
            try:
                stopped.close()
            except Exception as exc:
                log.warning("stopped_publisher_closed", fault=type(exc).__name__)
