"""Connections to PostgreSQL: a few that wait for the next call, each looked at before it is lent.

A connection that the server closed is noticed without a round trip, and a new one is made at once: the service works
again with the first call after the database is back.
"""

import select
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Semaphore
from typing import Any

import psycopg

from registry.service.errors import StoreUnavailableError

CONNECTIONS_MAX = 8  # of one service; writes wait for one another anyway
CONNECT_TIMEOUT_S = 3
BORROW_TIMEOUT_S = 5  # below what clients wait for an answer
STATEMENT_TIMEOUT_MS = 10_000
IDLE_WRITER_TIMEOUT_MS = 60_000  # a writer that was frozen in its transaction gives the writers' lock back
UNACKNOWLEDGED_MS = 10_000  # after which a silent network counts as down

Connection = psycopg.Connection[tuple[Any, ...]]


class Connections:
    """Connections to one database; `prepare` is called with each new one."""

    def __init__(self, database_url: str, *, prepare: Callable[[Connection], None]) -> None:
        self._url = database_url
        self._prepare = prepare
        self._places = Semaphore(CONNECTIONS_MAX)
        self._idle: deque[Connection] = deque()

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """A connection for one call, each statement its own transaction unless one is opened.

        Raises StoreUnavailableError when the database does not answer, also in the midst of the call.
        """
        if not self._places.acquire(timeout=BORROW_TIMEOUT_S):
            raise StoreUnavailableError(f"all {CONNECTIONS_MAX} connections to the database are busy")
        try:
            with self._lent() as connection:
                yield connection
        finally:
            self._places.release()

    @contextmanager
    def _lent(self) -> Iterator[Connection]:
        connection: Connection | None = None
        try:
            connection = self._waiting() or self._made()
            yield connection
        except (psycopg.errors.QueryCanceled, psycopg.errors.LockNotAvailable) as exc:
            raise StoreUnavailableError(f"the database took longer than {STATEMENT_TIMEOUT_MS} ms") from exc
        except (psycopg.OperationalError, psycopg.InterfaceError) as exc:
            raise StoreUnavailableError(f"the database does not answer: {type(exc).__name__}") from exc
        finally:
            if connection is not None:
                self._take_back(connection)

    def _waiting(self) -> Connection | None:
        """One that waits and still lives. Other threads take from the same place: what is seen there may be gone."""
        while True:
            try:
                connection = self._idle.pop()
            except IndexError:
                return None
            if not _was_closed_by_server(connection):
                return connection
            connection.close()

    def _made(self) -> Connection:
        connection = psycopg.connect(
            self._url, autocommit=True, connect_timeout=CONNECT_TIMEOUT_S, tcp_user_timeout=UNACKNOWLEDGED_MS
        )
        try:
            connection.execute(f"SET statement_timeout = {STATEMENT_TIMEOUT_MS}")
            connection.execute(f"SET idle_in_transaction_session_timeout = {IDLE_WRITER_TIMEOUT_MS}")
            self._prepare(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _take_back(self, connection: Connection) -> None:
        if connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE:
            self._idle.append(connection)
        else:
            connection.close()

    def close(self) -> None:
        """Closes the connections that wait."""
        while self._idle:
            self._idle.pop().close()


def _was_closed_by_server(connection: Connection) -> bool:
    """Nothing is asked, so nothing may come: bytes on an idle connection are the server's farewell."""
    if connection.closed:
        return True
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    return bool(poll.poll(0))
