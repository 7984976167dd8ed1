"""Statements in a row over one connection: sent in one write, their rows as bytes.

A request waits for a few microseconds of work in the database; a cursor for each statement, and a wait for each answer,
would cost many times that. This is libpq's pipeline mode (PostgreSQL manual, chapter 32.5), by psycopg's own bindings.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

from psycopg import AsyncConnection, Error
from psycopg.pq import DiagnosticField, ExecStatus
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

    async def run(self, commands: Sequence[Command]) -> Sequence[Sequence[Row] | Fault]:
        """What each statement brought, in their order. Raises UnavailableError when the connection is lost.

        They are one transaction; where one fails, each is run once more in one of its own, and fails alone.
        """
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                outcomes = await self._run_together(commands)
                if len(commands) > 1 and any(isinstance(one, Fault) for one in outcomes):
                    return [(await self._run_together([command]))[0] for command in commands]
                return outcomes
        except (Error, OSError, TimeoutError) as exc:
            self.close()
            raise UnavailableError("the database is away") from exc
        except asyncio.CancelledError:
            self.close()  # answers are under way that nobody would read
            raise

    def close(self) -> None:
        """Closes the connection; harmless when repeated."""
        if self._is_open:
            self._is_open = False
            self._loop.remove_reader(self._socket)  # before another connection gets its number
            self._pgconn.finish()
            self._wake()

    async def _run_together(self, commands: Sequence[Command]) -> Sequence[Sequence[Row] | Fault]:
        parts = [self._send(command) for command in commands]
        self._pgconn.pipeline_sync()
        while self._pgconn.flush():
            await self._writable()
        results = [[await self._part() for _ in range(count)] for count in parts]
        await self._mark()
        outcomes = [_rows(one) for one in results]
        if any(isinstance(one, Fault) for one in outcomes):
            self._prepared.clear()  # nobody can say which of them there are, and a plan that failed is not trusted
        return outcomes

    def _send(self, command: Command) -> int:
        """Sends a statement; in how many parts its results come."""
        name, parts = self._prepared.get(command.query), 1
        if name is None:
            name = self._prepared[command.query] = b"yekbar_%d" % next(self._number)
            self._pgconn.send_prepare(name, command.query)
            parts = 2
        self._pgconn.send_query_prepared(name, command.parameters, result_format=int(command.is_binary))
        return parts

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
        return self._pgconn.get_result()

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
        if result.status in (ExecStatus.FATAL_ERROR, ExecStatus.PIPELINE_ABORTED):
            state = result.error_field(DiagnosticField.SQLSTATE) or b""
            return Fault(state.decode())
    last = results[-1]
    columns = range(last.nfields)
    return [[last.get_value(row, column) for column in columns] for row in range(last.ntuples)]
