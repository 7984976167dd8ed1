"""The agreements in force, kept current: every change counts here within seconds, or nobody is answered.

1. read     the changes that both sides made, and fold them over the catalogue's agreements
2. share    how many persons were asked about, with the other instances; and which answers were handed over
3. suspend  what the watch has seen reason to, here at once and everywhere by a change of its own
"""

import asyncio
import time
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import structlog
from psycopg import AsyncConnection, errors

from bus.http.errors import place_of
from consumers.accesses.delivery import Deliveries
from consumers.agreements.changes import WATCH, Change, ChangeKind, Rights, fold
from consumers.agreements.store import new_change, put_changes_async, read_changes_async
from consumers.evidence.asking import Planner
from consumers.evidence.decision import Agreements, Standing
from consumers.evidence.errors import UnavailableError
from consumers.evidence.reader import Reader
from consumers.evidence.watch import Watch
from registry.contracts import AgreementId, Catalogue

POLL_S = 1.0
AGE_MAX_S = 5.0  # a change is in force everywhere by then; who cannot read them does not answer
assert POLL_S * 3 < AGE_MAX_S, "one slow reading must not stop the service"
HARVEST = "harvest-suspected"

log = structlog.get_logger()


class RightsDesk:
    """Gives the planner its agreements, and takes them away."""

    def __init__(
        self, catalogue: Catalogue, planner: Planner, reader: Reader, watch: Watch, deliveries: Deliveries
    ) -> None:
        self._catalogue = catalogue
        self._planner = planner
        self._reader = reader
        self._watch = watch
        self._deliveries = deliveries
        self._rights = Rights(agreements=catalogue.agreements, standings={})
        self._told: tuple[Rights, frozenset[AgreementId]] | None = None
        self._unwritten: list[Change] = []
        self._read_at = float("-inf")
        self._wake = asyncio.Event()

    def check_current(self) -> None:
        """Raises UnavailableError when the agreements were not read lately: one may have been revoked since."""
        if time.monotonic() - self._read_at > AGE_MAX_S:
            raise UnavailableError("the agreements cannot be read")

    def suspend(self, requester: str, procedures: Iterable[str]) -> None:
        """Suspends what a requester may ask under these procedures: here now, elsewhere with the next reading."""
        named = set(procedures)
        stopped = [
            one.id
            for one in self._rights.agreements.values()
            if one.requester == requester
            and one.procedure in named
            and self._rights.standing(one.id) is Standing.IN_FORCE
        ]
        standings = {**self._rights.standings, **dict.fromkeys(stopped, Standing.SUSPENDED)}
        self._rights = replace(self._rights, standings=standings)
        self._unwritten += [new_change(name, ChangeKind.SUSPENDED, agency=WATCH, reason=HARVEST) for name in stopped]
        self._tell()
        self._wake.set()

    def tell_spent(self) -> None:
        """Budgets were used up just now: they count here at once, elsewhere with the next reading."""
        self._tell()

    async def keep_current(self) -> None:
        """Reads again and again; cancel it to end it."""
        while True:
            try:
                await self.refresh()
            except UnavailableError as exc:
                log.warning("agreements_not_read", fault=exc.message)
            except (
                Exception
            ) as exc:  # the outermost place: nobody is answered until it is read again, and we hear of it
                log.error("agreements_not_read", fault=type(exc).__name__, place=place_of(exc))
            self._wake.clear()
            try:
                async with asyncio.timeout(POLL_S):
                    await self._wake.wait()
            except TimeoutError:
                pass

    async def refresh(self) -> None:
        """Reads the changes, and shares the counts. Raises UnavailableError."""
        started = time.monotonic()
        async with self._reader.connection() as connection:
            await self._write(connection)
            try:
                changes = await read_changes_async(connection)
                self._rights = fold(self._catalogue, [*changes, *self._unwritten])
                await self._watch.share(connection, self._rights.agreements.values())
                await self._deliveries.say(connection)
            except errors.UndefinedTable:
                log.warning("agreements_never_changed", remedy="run 'yekbar catalogue apply'")
        self._read_at = started
        self._tell()

    async def _write(self, connection: AsyncConnection[Any]) -> None:
        pending = list(self._unwritten)
        if pending:
            await put_changes_async(connection, pending)
            del self._unwritten[: len(pending)]  # more may have come meanwhile

    def _tell(self) -> None:
        told = (self._rights, self._watch.spent)
        if told == self._told:
            return
        self._told = told
        spent = dict.fromkeys(self._watch.spent, Standing.SPENT)
        standings = {
            **spent,
            **{name: one for name, one in self._rights.standings.items() if one is not Standing.IN_FORCE},
        }
        self._planner.replace_agreements(Agreements(self._rights.agreements.values(), standings))
