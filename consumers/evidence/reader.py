"""A connection for what is seldom asked: it keeps out of the way of those who ask for evidence."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from psycopg import AsyncConnection, Error, OperationalError

from consumers.evidence.connections import connect
from consumers.evidence.errors import UnavailableError


class Reader:
    """One connection, used by one caller after the other; opened when it is first needed, and anew when it broke."""

    def __init__(self, database_url: str) -> None:
        self._database_url = database_url
        self._lock = asyncio.Lock()
        self._connection: AsyncConnection[Any] | None = None

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[AsyncConnection[Any]]:
        """The connection, ours alone until the block ends. Raises UnavailableError when the database is away."""
        async with self._lock:
            try:
                if self._connection is None or self._connection.closed:
                    self._connection = await connect(self._database_url)
                yield self._connection
            except (OperationalError, OSError) as exc:
                raise UnavailableError("the database is away") from exc
            except Error as exc:
                raise UnavailableError("the database refuses") from exc

    async def close(self) -> None:
        """Closes the connection."""
        if self._connection is not None:
            await self._connection.close()
