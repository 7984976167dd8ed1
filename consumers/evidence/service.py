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
from uuid import UUID

import structlog

from bus.failpoints import failpoint
from consumers.accesses.record import insert_statement
from consumers.evidence.answer import Stand, source, weigh
from consumers.evidence.asking import Ask, Plan
from consumers.evidence.decision import Permitted
from consumers.evidence.errors import UnavailableError
from consumers.evidence.freshness import Clock, ClockReader
from consumers.evidence.lookup import Found, Group, Lookup, groups
from consumers.evidence.pipe import Command, Fault, Pipe
from consumers.evidence.queries import Piece, Pieces
from consumers.evidence.wire import Vouched, Writer
from registry.contracts import Catalogue, EvidenceTypeId, RecordType

CLOCK_AGE_MAX_S = 0.25  # the views' times are read again after this long; an old one only promises less

log = structlog.get_logger()

Alike = tuple[Plan, datetime, datetime | None]  # those who ask alike: a plan and a pair of instants
_NONE: tuple[Stand, ...] = ()
Sources = Mapping[EvidenceTypeId, Pieces | Stand]


@dataclass(frozen=True, slots=True)
class Answered:
    """What a request came to: recorded, and the answer's bytes where it was not refused as a whole."""

    ask: Ask
    answer: bytes


class EvidenceService:
    """Answers requests about one catalogue."""

    def __init__(self, catalogue: Catalogue, instance: UUID) -> None:
        self._record_types: Mapping[EvidenceTypeId, Sequence[RecordType]] = {
            name: [catalogue.record_types[view] for view in one.views.values()]
            for name, one in catalogue.evidence_types.items()
        }
        self._lookup = Lookup(catalogue)
        self._writer = Writer(catalogue)
        self._insert = insert_statement(instance)
        self._clocks = ClockReader()
        self._clock = Clock(caught_up={}, now=datetime.now(UTC))
        self._clock_read_at = float("-inf")

    async def answer(self, pipe: Pipe, asks: Sequence[Ask]) -> Sequence[Answered]:
        """The answers of a batch, in its order. Raises UnavailableError when none may leave."""
        now = datetime.now(UTC)
        wanted = _alike(asks, now)
        found, clock = await self._read(pipe, wanted, now)
        answers, accesses = self._judge(asks, wanted, found, clock)
        await self._record(pipe, accesses)
        failpoint("evidence.recorded")
        return answers

    async def _read(self, pipe: Pipe, wanted: Mapping[Alike, set[UUID]], now: datetime) -> tuple[Found, Clock]:
        """The evidence, and until when each view is complete; that is read before it, and so promises no more."""
        elapsed = time.monotonic()
        is_old = elapsed - self._clock_read_at > CLOCK_AGE_MAX_S
        first = Command(self._clocks.query) if is_old else None
        found, rows = await self._lookup.read(pipe, _by_group(wanted), first=first)
        if rows is not None:
            if isinstance(rows, Fault):
                log.error("positions_not_read", sqlstate=rows.sqlstate)
                rows = ()  # nobody can say how fresh anything is
            self._clock, self._clock_read_at = self._clocks.clock(rows, now), elapsed
        return found, self._clock.at(now)

    async def _record(self, pipe: Pipe, accesses: Sequence[bytes]) -> None:
        fault = await pipe.write(Command(self._insert, [b"[%b]" % b",".join(accesses)]))
        if fault is not None:
            log.error("accesses_not_recorded", sqlstate=fault.sqlstate, requests=len(accesses))
            raise UnavailableError("the access could not be recorded")

    def _judge(
        self, asks: Sequence[Ask], wanted: Mapping[Alike, set[UUID]], found: Found, clock: Clock
    ) -> tuple[Sequence[Answered], Sequence[bytes]]:
        sources = {alike: self._sources(alike, found, clock) for alike in wanted}
        vouched = Vouched(clock)
        answers, accesses = [], []
        for ask in asks:
            answer, stands = b"", _NONE
            if ask.plan is not None and ask.subject is not None and ask.refusal is None:
                instant = ask.instant(clock.now)
                stands, proofs = _weighed(sources[ask.plan, instant, ask.known_at], ask.subject.bytes)
                answer = self._writer.answer(ask, ask.plan, stands, proofs, instant, vouched)
            answers.append(Answered(ask, answer))
            accesses.append(self._writer.record(ask, stands))
        return answers, accesses

    def _sources(self, alike: Alike, found: Found, clock: Clock) -> Sources:
        plan, effective_at, known_at = alike
        asked = groups(plan, effective_at, known_at)
        sources = {}
        for name, decision in plan.decisions.items():
            looked_up = staleness = None
            if isinstance(decision, Permitted):
                looked_up = found[asked[name]]
                staleness = clock.staleness(self._record_types[name], age_max=decision.age_max, known_at=known_at)
                if staleness is not None:
                    self._clock_read_at = float("-inf")  # it may be over already: the next batch looks again
            sources[name] = source(decision, looked_up, staleness)
        return sources


def _alike(asks: Sequence[Ask], now: datetime) -> Mapping[Alike, set[UUID]]:
    """The persons that are asked about, by what is asked; a request that is refused as a whole asks about nobody."""
    wanted: dict[Alike, set[UUID]] = {}
    for ask in asks:
        if ask.plan is not None and ask.subject is not None and ask.refusal is None:
            wanted.setdefault((ask.plan, ask.instant(now), ask.known_at), set()).add(ask.subject)
    return wanted


def _by_group(wanted: Mapping[Alike, set[UUID]]) -> Mapping[Group, set[UUID]]:
    """The persons whom each statement is about."""
    persons: dict[Group, set[UUID]] = {}
    for (plan, effective_at, known_at), subjects in wanted.items():
        for group in groups(plan, effective_at, known_at).values():
            persons.setdefault(group, set()).update(subjects)
    return persons


def _weighed(sources: Sources, subject: bytes) -> tuple[tuple[Stand, ...], Mapping[EvidenceTypeId, Sequence[Piece]]]:
    """How each evidence type stands for one person, in the plan's order, and the pieces that prove it."""
    stands: list[Stand] = []
    proofs: dict[EvidenceTypeId, Sequence[Piece]] = {}
    for name, one in sources.items():
        if isinstance(one, Stand):
            stands.append(one)
        else:
            stand, proofs[name] = weigh(one.of(subject))
            stands.append(stand)
    return tuple(stands), proofs
