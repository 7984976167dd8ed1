"""Watches who asks about how many persons, and whether they are asked about as their numbers go.

What one instance counts goes to the database each second, and what the others count comes from there; a request costs
a few microseconds of memory, and never waits for it.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import structlog
from psycopg import AsyncConnection, Connection

from consumers.evidence.harvest import Sketch, Walk
from consumers.views import DDL_LOCK, statement
from registry.contracts import Agreement, AgreementId

DAY_HOURS = 10  # the persons of a whole day are as many as those of this many hours
KEPT = timedelta(days=2)

Asker = tuple[str, str]  # a requester and a procedure

_PUT = (
    "INSERT INTO yekbar.persons_asked (requester, procedure, hour, instance, registers) VALUES (%s, %s, %s, %s, %s)"
    " ON CONFLICT (hour, requester, procedure, instance) DO UPDATE SET registers = excluded.registers"
)
_READ_EARLIER = "SELECT requester, procedure, registers FROM yekbar.persons_asked WHERE hour >= %s AND hour < %s"
_READ_OTHERS = "SELECT requester, procedure, registers FROM yekbar.persons_asked WHERE hour = %s AND instance <> %s"
_FORGET = "DELETE FROM yekbar.persons_asked WHERE hour < %s"

log = structlog.get_logger()


def create_persons_asked(connection: Connection[Any]) -> None:
    """Makes the table of sketches; harmless when repeated."""
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (DDL_LOCK,))
        connection.execute(statement("persons_asked.sql"))


class Watch:
    """Counts, for one instance of the service."""

    def __init__(self) -> None:
        self._instance: UUID = uuid4()
        self._hour = datetime.min.replace(tzinfo=UTC)
        self._asked: dict[Asker, Sketch] = {}
        self._changed: set[Asker] = set()
        self._earlier: Mapping[Asker, Sketch] | None = None
        self._walks: dict[str, tuple[Walk, set[str]]] = {}
        self.spent: frozenset[AgreementId] = frozenset()

    def seen(self, requester: str, procedure: str, *, subject: UUID, number: int, now: datetime) -> frozenset[str]:
        """Takes a request that was permitted; gives the procedures under which a walk has been seen, mostly none."""
        if now - self._hour >= timedelta(hours=1):
            self._turn(now)
        asker = (requester, procedure)
        sketch = self._asked.get(asker)
        if sketch is None:
            sketch = self._asked[asker] = Sketch()
        sketch.add(subject.bytes)
        self._changed.add(asker)
        walk, procedures = self._walks.setdefault(requester, (Walk(), set()))
        procedures.add(procedure)
        if not walk.is_walk(number):
            return frozenset()
        del self._walks[requester]
        log.error("harvest_suspected", requester=requester, procedures=sorted(procedures))
        return frozenset(procedures)

    async def share(self, connection: AsyncConnection[Any], agreements: Iterable[Agreement]) -> None:
        """Gives what was counted here, takes what was counted elsewhere, and tells which agreements are spent."""
        now = datetime.now(UTC)
        if now - self._hour >= timedelta(hours=1):
            self._turn(now)
        if self._earlier is None:
            await self._take_earlier(connection)
        changed = {asker: bytes(self._asked[asker]) for asker in self._changed}
        self._changed.clear()
        for (requester, procedure), registers in changed.items():
            await connection.execute(_PUT, (requester, procedure, self._hour, self._instance, registers))
        hour = {asker: Sketch(bytes(sketch)) for asker, sketch in self._asked.items()}
        _merge(hour, await (await connection.execute(_READ_OTHERS, (self._hour, self._instance))).fetchall())
        self._tell(hour, agreements)

    def _turn(self, now: datetime) -> None:
        """A new hour: nobody has asked about anybody in it."""
        self._hour = now.replace(minute=0, second=0, microsecond=0)
        self._asked, self._changed, self._earlier = {}, set(), None

    async def _take_earlier(self, connection: AsyncConnection[Any]) -> None:
        day = self._hour.replace(hour=0)
        earlier: dict[Asker, Sketch] = {}
        await connection.execute(_FORGET, (self._hour - KEPT,))
        _merge(earlier, await (await connection.execute(_READ_EARLIER, (day, self._hour))).fetchall())
        self._earlier = earlier

    def _tell(self, hour: Mapping[Asker, Sketch], agreements: Iterable[Agreement]) -> None:
        counts = {asker: sketch.count() for asker, sketch in hour.items()}
        days = {}
        for asker, sketch in hour.items():
            day = Sketch(bytes(sketch))
            day.merge(bytes((self._earlier or {}).get(asker, Sketch())))
            days[asker] = day.count()
        spent = set()
        for one in agreements:
            asker = (one.requester, one.procedure)
            limit = one.persons_per_hour
            if counts.get(asker, 0) > limit or days.get(asker, 0) > limit * DAY_HOURS:
                spent.add(one.id)
        for name in sorted(spent - self.spent):
            log.warning("budget_spent", agreement=name)
        self.spent = frozenset(spent)


def _merge(sketches: dict[Asker, Sketch], rows: Iterable[tuple[str, str, bytes]]) -> None:
    for requester, procedure, registers in rows:
        sketches.setdefault((requester, procedure), Sketch()).merge(registers)
