"""Looks up evidence for many requests at once: one statement for each evidence type and pair of instants."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import structlog
from psycopg import AsyncConnection, Error, errors

from consumers.evidence.answer import Outage
from consumers.evidence.asking import Plan
from consumers.evidence.errors import UnavailableError
from consumers.evidence.freshness import POSITIONS, Clock
from consumers.evidence.queries import Pieces, Statements
from registry.contracts import Catalogue, EvidenceTypeId

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Group:
    """What one statement answers: these claims of an evidence type at one pair of instants."""

    evidence_type: EvidenceTypeId
    claims: tuple[str, ...]
    effective_at: datetime
    known_at: datetime | None


Found = Mapping[Group, Pieces | Outage]


class Lookup:
    """Reads evidence over one connection in autocommit: every statement sees what is committed when it starts."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._statements = Statements(catalogue)

    async def clock(self, connection: AsyncConnection[Any], now: datetime) -> Clock:
        """The views' times. To be read before the evidence, so that they never promise what is not yet in it."""
        try:
            rows = await (await connection.execute(POSITIONS, binary=True)).fetchall()
        except errors.UndefinedTable:
            rows = []  # nothing was ever materialized
        return Clock.of_rows(rows, now)

    async def read(self, connection: AsyncConnection[Any], wanted: Mapping[Group, set[UUID]]) -> Found:
        """What each group's statement brings about its persons. Raises UnavailableError when the database is away."""
        found: dict[Group, Pieces | Outage] = {}
        if not wanted:
            return found
        try:
            await self._read_together(connection, wanted, found)
        except Error as exc:
            _check_alive(connection, exc)
            for group, subjects in wanted.items():  # one of them is at fault: each alone, so that the others go on
                await self._read_alone(connection, group, subjects, found)
        return found

    async def _read_together(
        self, connection: AsyncConnection[Any], wanted: Mapping[Group, set[UUID]], found: dict[Group, Pieces | Outage]
    ) -> None:
        async with connection.pipeline():
            cursors = [await self._execute(connection, group, subjects) for group, subjects in wanted.items()]
        for group, cursor in zip(wanted, cursors, strict=True):
            found[group] = Pieces.of_rows(await cursor.fetchall())

    async def _read_alone(
        self, connection: AsyncConnection[Any], group: Group, subjects: set[UUID], found: dict[Group, Pieces | Outage]
    ) -> None:
        try:
            await self._read_together(connection, {group: subjects}, found)
        except (errors.UndefinedTable, errors.InvalidSchemaName):
            log.error("view_missing", evidence_type=group.evidence_type)
            found[group] = Outage.NO_SUCH_VIEW
        except Error as exc:
            _check_alive(connection, exc)
            log.error("evidence_lookup_failed", evidence_type=group.evidence_type, sqlstate=exc.sqlstate)
            found[group] = Outage.DATABASE_ERROR

    async def _execute(self, connection: AsyncConnection[Any], group: Group, subjects: set[UUID]) -> Any:
        claims, known_at = group.claims, group.known_at
        query = self._statements.statement(group.evidence_type, claims, known_at is not None)
        # As text: psycopg writes a list of uuids one by one, in Python.
        listed = f"{{{','.join([subject.hex for subject in subjects])}}}"
        parameters = {"subjects": listed, "at": group.effective_at}
        return await connection.execute(
            query, parameters if known_at is None else {**parameters, "known_at": known_at}, binary=True
        )


def groups(plan: Plan, effective_at: datetime, known_at: datetime | None) -> Mapping[EvidenceTypeId, Group]:
    """What must be looked up for a plan at a pair of instants: the evidence types that it permits."""
    return {name: Group(name, one.claims, effective_at, known_at) for name, one in plan.permitted.items()}


def _check_alive(connection: AsyncConnection[Any], exc: Error) -> None:
    if connection.closed:
        raise UnavailableError("the database is away") from exc
