"""Statements in a row over one connection: sent in one write, each its own transaction, their rows as bytes.

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
        self._prepared: dict[bytes, bytes] = {}
        self._number = count()

    async def run(self, commands: Sequence[Command]) -> Sequence[Sequence[Row] | Fault]:
        """What each statement brought, in their order. Raises UnavailableError when the connection is lost."""
        try:
            for command in commands:
                self._send(command)
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                await self._flush()
                return [_rows(command, await self._results(), self._prepared) for command in commands]
        except (Error, OSError, TimeoutError) as exc:
            self._pgconn.finish()
            raise UnavailableError("the database is away") from exc
        except asyncio.CancelledError:
            self._pgconn.finish()  # answers are under way that nobody would read
            raise

    def _send(self, command: Command) -> None:
        name = self._prepared.get(command.query)
        if name is None:
            name = self._prepared[command.query] = b"yekbar_%d" % next(self._number)
            self._pgconn.send_prepare(name, command.query)
        self._pgconn.send_query_prepared(name, command.parameters, result_format=int(command.is_binary))
        self._pgconn.pipeline_sync()

    async def _flush(self) -> None:
        while self._pgconn.flush():
            await self._ready(self._loop.add_writer, self._loop.remove_writer)

    async def _results(self) -> Sequence[PGresult]:
        """The results of one statement, up to the mark after it."""
        results: list[PGresult] = []
        while True:
            while self._pgconn.is_busy():
                await self._ready(self._loop.add_reader, self._loop.remove_reader)
                self._pgconn.consume_input()
            result = self._pgconn.get_result()
            if result is None:
                continue  # the end of one statement's results; the mark is still to come
            if result.status == ExecStatus.PIPELINE_SYNC:
                return results
            results.append(result)

    async def _ready(self, add: Any, remove: Any) -> None:
        """Returns when the connection can be read, or written; `add` and `remove` are the loop's."""
        ready = self._loop.create_future()
        add(self._pgconn.socket, _set, ready)
        try:
            await ready
        finally:
            remove(self._pgconn.socket)


def _set(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)


def _rows(command: Command, results: Sequence[PGresult], prepared: dict[bytes, bytes]) -> Sequence[Row] | Fault:
    for result in results:
        if result.status in (ExecStatus.FATAL_ERROR, ExecStatus.PIPELINE_ABORTED):
            del prepared[command.query]  # a plan that failed is not trusted again
            state = result.error_field(DiagnosticField.SQLSTATE) or b""
            return Fault(state.decode())
    last = results[-1]
    columns = range(last.nfields)
    return [[last.get_value(row, column) for column in columns] for row in range(last.ntuples)]
