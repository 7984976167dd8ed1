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

from consumers.evidence.harvest import REGISTERS, Sketch, Walk
from consumers.views import DDL_LOCK, statement
from registry.contracts import Agreement, AgreementId

DAY_HOURS = 10  # the persons of a whole day are as many as those of this many hours
KEPT = timedelta(days=2)
ROOM_MAX = 1_000  # changes of a sketch after which it is counted again in any case

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
    """Counts, for one instance of the service. `spent` are the agreements whose budget is used up for now."""

    def __init__(self) -> None:
        self._instance: UUID = uuid4()
        self._hour = datetime.min.replace(tzinfo=UTC)
        self._asked: dict[Asker, Sketch] = {}
        self._asked_elsewhere: dict[Asker, Sketch] = {}
        self._changed: set[Asker] = set()
        self._earlier: Mapping[Asker, Sketch] | None = None
        self._budgets: dict[Asker, list[Agreement]] = {}
        self._room: dict[Asker, int] = {}
        self._walks: dict[str, tuple[Walk, set[str]]] = {}
        self.spent: frozenset[AgreementId] = frozenset()

    def seen(self, requester: str, procedure: str, *, subject: UUID, number: int, now: datetime) -> frozenset[str]:
        """Takes a request that was permitted; gives the procedures under which a walk has been seen, mostly none.

        Whoever comes near a budget is counted at once, so that nobody goes far beyond it before the next second.
        """
        if now - self._hour >= timedelta(hours=1):
            self._turn(now)
        asker = (requester, procedure)
        sketch = self._asked.get(asker)
        if sketch is None:
            sketch = self._asked[asker] = Sketch()
        if sketch.add(subject.bytes):
            self._changed.add(asker)
            self._room[asker] = self._room.get(asker, 0) - 1
            if self._room[asker] < 0:
                self._count(asker)
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
        await self._give(connection)
        self._asked_elsewhere = {}
        others = await connection.execute(_READ_OTHERS, (self._hour, self._instance))
        _merge(self._asked_elsewhere, await others.fetchall())
        self._budgets = {}
        for one in agreements:
            self._budgets.setdefault((one.requester, one.procedure), []).append(one)
        spent = self.spent
        self.spent = frozenset()
        for asker in {*self._asked, *self._asked_elsewhere, *self._earlier_persons()}:
            self._count(asker, known=spent)

    async def _give(self, connection: AsyncConnection[Any]) -> None:
        changed = {asker: bytes(self._asked[asker]) for asker in self._changed}
        self._changed.clear()
        try:
            for (requester, procedure), registers in changed.items():
                await connection.execute(_PUT, (requester, procedure, self._hour, self._instance, registers))
        except BaseException:
            self._changed |= changed.keys() & self._asked.keys()  # nobody has heard of them: they are given again
            raise

    def _turn(self, now: datetime) -> None:
        """A new hour: nobody has asked about anybody in it."""
        self._hour = now.replace(minute=0, second=0, microsecond=0)
        self._asked, self._changed, self._earlier = {}, set(), None
        self._asked_elsewhere, self._room = {}, {}

    async def _take_earlier(self, connection: AsyncConnection[Any]) -> None:
        day = self._hour.replace(hour=0)
        earlier: dict[Asker, Sketch] = {}
        await connection.execute(_FORGET, (self._hour - KEPT,))
        _merge(earlier, await (await connection.execute(_READ_EARLIER, (day, self._hour))).fetchall())
        self._earlier = earlier

    def _earlier_persons(self) -> Mapping[Asker, Sketch]:
        """Those of the day's hours before this one, as far as they are known."""
        return self._earlier or {}

    def _count(self, asker: Asker, *, known: frozenset[AgreementId] | None = None) -> None:
        """Counts an asker's persons against its budgets; what is left is room for so many changes of the sketch."""
        known = self.spent if known is None else known
        hour = _together(self._asked.get(asker), self._asked_elsewhere.get(asker))
        in_hour = hour.count()
        in_day = _together(hour, self._earlier_persons().get(asker)).count()
        room, spent = ROOM_MAX, set()
        for one in self._budgets.get(asker, ()):
            left = min(one.persons_per_hour - in_hour, one.persons_per_hour * DAY_HOURS - in_day)
            if left < 0:
                spent.add(one.id)
            else:
                room = min(room, left)
        self._room[asker] = room // (1 + in_day // REGISTERS)  # one change of a full sketch stands for several persons
        for name in sorted(spent - known):
            log.warning("budget_spent", agreement=name)
        if spent - self.spent:
            self.spent |= spent


def _together(*sketches: Sketch | None) -> Sketch:
    merged = Sketch()
    for sketch in sketches:
        if sketch is not None:
            merged.merge(bytes(sketch))
    return merged


def _merge(sketches: dict[Asker, Sketch], rows: Iterable[tuple[str, str, bytes]]) -> None:
    for requester, procedure, registers in rows:
        sketches.setdefault((requester, procedure), Sketch()).merge(registers)
