"""Statements in a row over one connection: sent in one write, their rows as bytes.

A request waits for a few microseconds of work in the database; a cursor for each statement, and a wait for each answer,
would cost many times that. This is libpq's pipeline mode (PostgreSQL manual, chapter 32.5), by psycopg's own bindings.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import count
from typing import Any

from psycopg import AsyncConnection, Error, OperationalError
from psycopg.pq import ConnStatus, DiagnosticField, ExecStatus
from psycopg.pq.abc import PGresult

from consumers.evidence.errors import UnavailableError

ANSWER_TIMEOUT_S = 10  # above the server's own statement timeout: whoever passes it has lost the connection

Row = Sequence[bytes | None]


@dataclass(frozen=True, slots=True)
class Command:
    """A statement with parameters as text, in the order of their numbers; `is_binary` says how rows come back."""

    query: bytes
    parameters: Sequence[bytes | None] = ()
    is_binary: bool = False


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a statement brought nothing."""

    sqlstate: str


_SKIPPED = Fault("")  # one before it failed
_WRONG = ("0A", "26", "42")  # classes of SQLSTATE: what was prepared does not fit any more


class Pipe:
    """A connection that is used for nothing else. Statements are prepared when they first come."""

    def __init__(self, connection: AsyncConnection[Any]) -> None:
        self._pgconn = connection.pgconn
        self._pgconn.nonblocking = 1
        self._pgconn.enter_pipeline_mode()
        self._loop = asyncio.get_running_loop()
        self._socket = self._pgconn.socket
        self._loop.add_reader(self._socket, self._read)
        self._arrived: asyncio.Future[None] | None = None
        self._prepared: dict[bytes, bytes] = {}
        self._number = count()
        self._is_open = True

    def is_open(self) -> bool:
        """Whether statements can be run; a connection that is lost is noticed at once."""
        return self._is_open

    async def read(self, commands: Sequence[Command]) -> Sequence[Sequence[Row] | Fault]:
        """What each of some queries brought, in their order. Raises UnavailableError when the connection is lost.

        They are one transaction. Where one fails, those after it are run again without it: it fails alone.
        """
        outcomes: list[Sequence[Row] | Fault] = [_SKIPPED] * len(commands)
        async with self._lost_is_unavailable():
            while places := [place for place, one in enumerate(outcomes) if one is _SKIPPED]:
                for place, one in zip(places, await self._run([commands[one] for one in places]), strict=True):
                    outcomes[place] = one
        return outcomes

    async def write(self, command: Command) -> Fault | None:
        """Runs a statement in a transaction of its own; why it failed, if it did. Raises UnavailableError."""
        async with self._lost_is_unavailable():
            (outcome,) = await self._run([command])
        return outcome if isinstance(outcome, Fault) else None

    def close(self) -> None:
        """Closes the connection; harmless when repeated."""
        if self._is_open:
            self._is_open = False
            self._loop.remove_reader(self._socket)  # before another connection gets its number
            self._pgconn.finish()
            self._wake()

    @asynccontextmanager
    async def _lost_is_unavailable(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                yield
        except (Error, OSError, TimeoutError) as exc:
            self.close()
            raise UnavailableError("the database is away") from exc
        except asyncio.CancelledError:
            self.close()  # answers are under way that nobody would read
            raise

    async def _run(self, commands: Sequence[Command]) -> Sequence[Sequence[Row] | Fault]:
        are_new = [self._send(command) for command in commands]
        self._pgconn.pipeline_sync()
        while self._pgconn.flush():
            await self._writable()
        results = [[await self._part() for _ in range(1 + is_new)] for is_new in are_new]
        await self._mark()
        outcomes = [_rows(one) for one in results]
        for command, is_new, outcome in zip(commands, are_new, outcomes, strict=True):
            if isinstance(outcome, Fault) and (is_new or outcome.sqlstate.startswith(_WRONG)):
                self._prepared.pop(command.query, None)
        return outcomes

    def _send(self, command: Command) -> bool:
        """Sends a statement; whether it had to be prepared."""
        name = self._prepared.get(command.query)
        is_new = name is None
        if name is None:
            name = self._prepared[command.query] = b"yekbar_%d" % next(self._number)
            self._pgconn.send_prepare(name, command.query)
        self._pgconn.send_query_prepared(name, command.parameters, result_format=int(command.is_binary))
        return is_new

    async def _part(self) -> PGresult:
        """The result of one step."""
        while True:
            result = await self._result()
            if result is not None:  # else it is the end of the step before
                return result

    async def _mark(self) -> None:
        """Takes what is left, up to the mark after all steps."""
        while (await self._part()).status != ExecStatus.PIPELINE_SYNC:
            continue

    async def _result(self) -> PGresult | None:
        while self._pgconn.is_busy():
            self._arrived = self._loop.create_future()
            await self._arrived
        result = self._pgconn.get_result()
        if result is None and self._pgconn.status != ConnStatus.OK:
            raise OperationalError("the connection is lost")  # else there would be no end of ends
        return result

    def _read(self) -> None:
        """Takes what came, and hears when the connection is lost."""
        try:
            self._pgconn.consume_input()
        except Error:
            self.close()
        self._wake()

    def _wake(self) -> None:
        if self._arrived is not None and not self._arrived.done():
            self._arrived.set_result(None)

    async def _writable(self) -> None:
        written = self._loop.create_future()
        self._loop.add_writer(self._socket, _set, written)
        try:
            await written
        finally:
            self._loop.remove_writer(self._socket)


def _set(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _rows(results: Sequence[PGresult]) -> Sequence[Row] | Fault:
    for result in results:
        if result.status == ExecStatus.PIPELINE_ABORTED:
            return _SKIPPED
        if result.status == ExecStatus.FATAL_ERROR:
            state = result.error_field(DiagnosticField.SQLSTATE) or b""
            return Fault(state.decode())
    last = results[-1]
    columns = range(last.nfields)
    return [[last.get_value(row, column) for column in columns] for row in range(last.ntuples)]
