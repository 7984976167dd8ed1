"""Which answers were handed over: each instance says until when, once a second, and so not at all when it dies.

An access is recorded before its answer leaves. Where the process dies in between, nobody can say whether the caller has
it: the record stays, and counts as possibly delivered, for the instance never came to say that it was.
"""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from psycopg import AsyncConnection

_SAY = (
    "INSERT INTO yekbar.evidence_instances AS known (instance, started_at, answered_until) VALUES (%s, %s, %s)"
    " ON CONFLICT (instance) DO UPDATE SET answered_until = greatest(known.answered_until, excluded.answered_until)"
)


class Deliveries:
    """The answers of one instance that are under way."""

    def __init__(self) -> None:
        self.instance: UUID = uuid4()
        self._started_at = datetime.now(UTC)
        self._under_way: dict[int, datetime] = {}
        self._number = 0

    def begin(self, at: datetime) -> int:
        """An answer is made to an access that is recorded with this time, or a later one; gives its number."""
        self._number += 1
        self._under_way[self._number] = at
        return self._number

    def end(self, number: int) -> None:
        """The answer was handed over, or there is none."""
        self._under_way.pop(number, None)

    def answered_until(self) -> datetime:
        """Every access from before this time has its answer."""
        return next(iter(self._under_way.values()), datetime.now(UTC))

    async def say(self, connection: AsyncConnection[Any]) -> None:
        """Says it to whoever reads the accesses."""
        await connection.execute(_SAY, (self.instance, self._started_at, self.answered_until()))
