"""Looks up evidence for many requests at once: one statement for each evidence type and pair of instants."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import structlog
from psycopg import AsyncConnection, Error, errors

from consumers.evidence.answer import Outage
from consumers.evidence.asking import Ask
from consumers.evidence.decision import Permitted
from consumers.evidence.errors import UnavailableError
from consumers.evidence.freshness import POSITIONS, Clock
from consumers.evidence.queries import Compiled, Piece
from registry.contracts import EvidenceTypeId

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Group:
    """What one statement answers: an evidence type at one pair of instants."""

    evidence_type: EvidenceTypeId
    effective_at: datetime
    known_at: datetime | None


class Found:
    """The pieces of each group and person."""

    def __init__(self) -> None:
        self._pieces: dict[Group, tuple[Mapping[UUID, Sequence[Piece]], Sequence[Piece]] | Outage] = {}

    def put(self, group: Group, pieces: tuple[Mapping[UUID, Sequence[Piece]], Sequence[Piece]] | Outage) -> None:
        """Keeps what a group's statement brought, or why it brought nothing."""
        self._pieces[group] = pieces

    def pieces(self, group: Group, subject: UUID) -> Sequence[Piece] | Outage:
        """The pieces of one person."""
        pieces = self._pieces[group]
        if isinstance(pieces, Outage):
            return pieces
        found, of_nobody = pieces
        return found.get(subject, of_nobody)


class Lookup:
    """Reads evidence over one connection in autocommit: every statement sees what is committed when it starts."""

    def __init__(self, compiled: Mapping[EvidenceTypeId, Compiled]) -> None:
        self._compiled = compiled

    async def clock(self, connection: AsyncConnection[Any], now: datetime) -> Clock:
        """The views' times. To be read before the evidence, so that they never promise what is not yet in it."""
        try:
            rows = await (await connection.execute(POSITIONS, binary=True)).fetchall()
        except errors.UndefinedTable:
            rows = []  # nothing was ever materialized
        return Clock.of_rows(rows, now)

    async def read(self, connection: AsyncConnection[Any], asks: Sequence[Ask], now: datetime) -> Found:
        """The evidence of every request that has a right to some. Raises UnavailableError when the database is away."""
        wanted: dict[Group, set[UUID]] = {}
        for ask in asks:
            for group in groups(ask, now):
                assert ask.subject is not None
                wanted.setdefault(group, set()).add(ask.subject)
        found = Found()
        try:
            await self._read_together(connection, wanted, found)
        except Error as exc:
            _check_alive(connection, exc)
            for group, subjects in wanted.items():  # one of them is at fault: each alone, so that the others go on
                await self._read_alone(connection, group, subjects, found)
        return found

    async def _read_together(
        self, connection: AsyncConnection[Any], wanted: Mapping[Group, set[UUID]], found: Found
    ) -> None:
        async with connection.pipeline():
            cursors = [await self._execute(connection, group, subjects) for group, subjects in wanted.items()]
        for group, cursor in zip(wanted, cursors, strict=True):
            found.put(group, self._compiled[group.evidence_type].pieces(await cursor.fetchall()))

    async def _read_alone(
        self, connection: AsyncConnection[Any], group: Group, subjects: set[UUID], found: Found
    ) -> None:
        try:
            await self._read_together(connection, {group: subjects}, found)
        except (errors.UndefinedTable, errors.InvalidSchemaName):
            log.error("view_missing", evidence_type=group.evidence_type)
            found.put(group, Outage.NO_SUCH_VIEW)
        except Error as exc:
            _check_alive(connection, exc)
            log.error("evidence_lookup_failed", evidence_type=group.evidence_type, sqlstate=exc.sqlstate)
            found.put(group, Outage.DATABASE_ERROR)

    async def _execute(self, connection: AsyncConnection[Any], group: Group, subjects: set[UUID]) -> Any:
        compiled = self._compiled[group.evidence_type]
        parameters: dict[str, Any] = {"subjects": list(subjects), "at": group.effective_at}
        if group.known_at is None:
            return await connection.execute(compiled.present, parameters, binary=True)
        return await connection.execute(compiled.as_known, {**parameters, "known_at": group.known_at}, binary=True)


def groups(ask: Ask, now: datetime) -> Sequence[Group]:
    """What must be looked up for a request: the evidence types that it has a right to."""
    if ask.plan is None or ask.subject is None or ask.refusal is not None:
        return ()
    effective_at = ask.instant(now)
    return [
        Group(name, effective_at, ask.known_at)
        for name, decision in ask.plan.decisions.items()
        if isinstance(decision, Permitted)
    ]


def _check_alive(connection: AsyncConnection[Any], exc: Error) -> None:
    if connection.closed:
        raise UnavailableError("the database is away") from exc
