"""Joins the requests that wait: whoever is free takes all of them at once, and the batch grows with the load.

A batch costs the database most for being one, so a second worker leaves a few requests to the first, which will be back
within milliseconds; it helps when many wait, or when the first is held up.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Generic, TypeVar

import structlog

from bus.http.errors import place_of
from consumers.evidence.errors import BusyError, UnavailableError

Asked = TypeVar("Asked")
Answered = TypeVar("Answered")

BATCH_MAX = 64  # more in one statement does not make a person's lookup cheaper, and the last would wait for the first
CROWD = 12  # as many are worth a batch beside another
PATIENCE_S = 0.02  # a batch seldom takes as long
WAITING_MAX = 2_000  # about half a second of work; whoever comes later is told to come again

log = structlog.get_logger()


class Batcher(Generic[Asked, Answered]):
    """Hands waiting questions to workers; a worker answers a batch, in its order."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[Asked, asyncio.Future[Answered]]] = deque()
        self._arrived = asyncio.Event()
        self._at_work = 0

    async def ask(self, question: Asked) -> Answered:
        """The answer, when some batch has brought it. Raises BusyError, or whatever the batch failed with."""
        if len(self._waiting) >= WAITING_MAX:
            raise BusyError
        future: asyncio.Future[Answered] = asyncio.get_running_loop().create_future()
        self._waiting.append((question, future))
        self._arrived.set()
        return await future

    async def work(
        self, answer: Callable[[Sequence[Asked]], Awaitable[Sequence[Answered]]], *, while_true: Callable[[], bool]
    ) -> None:
        """Takes batches one after the other; a batch that cannot be answered fails for those in it."""
        while while_true():
            await self._arrived.wait()
            if self._at_work and len(self._waiting) < CROWD:
                await asyncio.sleep(PATIENCE_S)
            batch = self._take() if while_true() else ()
            if not batch:
                continue  # another worker was faster, or this one has lost its connection
            self._at_work += 1
            try:
                answers = await answer([question for question, _ in batch])
            except UnavailableError as exc:
                _fail(batch, exc)
                continue
            except Exception as exc:  # the outermost place of a batch: those in it are told, the next is taken
                log.error("batch_broken_off", fault=type(exc).__name__, place=place_of(exc), requests=len(batch))
                _fail(batch, UnavailableError("the batch was broken off"))
                continue
            except BaseException:
                _fail(batch, UnavailableError("the service ends"))
                raise
            finally:
                self._at_work -= 1
            for (_, future), one in zip(batch, answers, strict=True):
                with suppress(asyncio.InvalidStateError):  # the caller has gone; its access stays recorded
                    future.set_result(one)

    async def fail_for(self, seconds: float) -> None:
        """Fails everything that waits now or comes within this time: nobody is there who could answer."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while True:
                    await self._arrived.wait()
                    _fail(self._take(), UnavailableError("the database is away"))

    def _take(self) -> Sequence[tuple[Asked, asyncio.Future[Answered]]]:
        batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), BATCH_MAX))]
        if not self._waiting:
            self._arrived.clear()
        return batch


def _fail(batch: Sequence[tuple[Asked, asyncio.Future[Answered]]], exc: Exception) -> None:
    for _, future in batch:
        with suppress(asyncio.InvalidStateError):
            future.set_exception(exc)
