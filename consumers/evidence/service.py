"""Answers batches of requests. What each request may be given was decided before it came here, for it alone.

1. `clock`    until when each view is complete, read before the evidence
2. `read`     one statement for each evidence type that anybody in the batch has a right to
3. `judge`    how each requirement stands; what leaves is what met one
4. `record`   the access records of the whole batch, committed
5. the answers leave; a batch that cannot be recorded leaves none
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from psycopg import AsyncConnection, Error

from consumers.accesses.record import Access, insert_accesses, insert_statement
from consumers.evidence.answer import Finding, Judged, find, judge
from consumers.evidence.asking import Ask, Plan
from consumers.evidence.decision import Permitted
from consumers.evidence.errors import UnavailableError
from consumers.evidence.freshness import Clock
from consumers.evidence.lookup import Found, Group, Lookup
from consumers.evidence.queries import compile_all
from consumers.evidence.wire import Writer
from registry.contracts import Catalogue, EvidenceType, EvidenceTypeId, RecordType

CLOCK_AGE_MAX_S = 0.25  # the views' times are read again after this long; an old one only promises less


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """What a request came to: recorded, and the answer's bytes where it was not refused as a whole."""

    ask: Ask
    answer: bytes


class EvidenceService:
    """Answers requests about one catalogue."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._record_types: Mapping[EvidenceTypeId, Sequence[RecordType]] = {
            name: [catalogue.record_types[view] for view in one.views.values()]
            for name, one in catalogue.evidence_types.items()
        }
        self._evidence_types: Mapping[EvidenceTypeId, EvidenceType] = catalogue.evidence_types
        self._lookup = Lookup(compile_all(catalogue))
        self._writer = Writer(catalogue)
        self._insert = insert_statement()
        self._clock: Clock | None = None
        self._clock_read_at = 0.0

    async def answer(self, connection: AsyncConnection[Any], asks: Sequence[Ask]) -> Sequence[Answered]:
        """The answers of a batch, in its order. Raises UnavailableError when none may leave."""
        now = datetime.now(UTC)
        try:
            clock = await self._current_clock(connection, now)
            found = await self._lookup.read(connection, asks, now)
            answers, accesses = self._judge(asks, found, clock)
            await insert_accesses(connection, self._insert, accesses)
        except Error as exc:
            raise UnavailableError("the access could not be recorded") from exc
        return answers

    async def _current_clock(self, connection: AsyncConnection[Any], now: datetime) -> Clock:
        elapsed = time.monotonic()
        if self._clock is None or elapsed - self._clock_read_at > CLOCK_AGE_MAX_S:
            self._clock = await self._lookup.clock(connection, now)
            self._clock_read_at = elapsed
        return Clock(caught_up=self._clock.caught_up, now=now)

    def _judge(self, asks: Sequence[Ask], found: Found, clock: Clock) -> tuple[Sequence[Answered], Sequence[Access]]:
        answers, accesses = [], []
        for ask in asks:
            findings: Mapping[EvidenceTypeId, Finding] = {}
            judged: tuple[Judged, ...] = ()
            answer = b""
            if ask.plan is not None and ask.refusal is None:
                findings = self._findings(ask, ask.plan, found, clock)
                judged = judge(ask.plan.procedure, findings)
                answer = self._writer.answer(ask, ask.plan, judged, clock)
            answers.append(Answered(ask=ask, answer=answer))
            accesses.append(self._writer.record(ask, judged, findings))
        return answers, accesses

    def _findings(self, ask: Ask, plan: Plan, found: Found, clock: Clock) -> Mapping[EvidenceTypeId, Finding]:
        findings = {}
        effective_at = ask.instant(clock.now)
        for name, decision in plan.decisions.items():
            pieces = staleness = None
            if isinstance(decision, Permitted) and ask.subject is not None:
                pieces = found.pieces(Group(name, effective_at, ask.known_at), ask.subject)
                staleness = clock.staleness(self._record_types[name], age_max=decision.age_max, known_at=ask.known_at)
            findings[name] = find(name, decision, pieces=pieces, staleness=staleness)
        return findings
