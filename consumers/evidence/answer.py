"""What is answered to a requirement: a pure function of what was found for each evidence type.

Statuses form an order. Inside a list (AND) the worst stands, between lists (OR) the best; so `unmet` is said only where
better data, rights or parts could not change it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from consumers.evidence.decision import Decision, Denied
from consumers.evidence.freshness import Staleness
from consumers.evidence.queries import Piece, Pieces
from registry.contracts import EvidenceTypeId, Procedure, Requirement


class Status(StrEnum):
    """How a requirement or an evidence type stands, from the worst to the best."""

    UNMET = "unmet"
    NOT_PERMITTED = "not_permitted"
    UNAVAILABLE = "unavailable"
    STALE = "stale"
    MET = "met"


class Lack(StrEnum):
    """Why evidence that is permitted and fresh proves nothing."""

    NO_RECORD = "no-record"
    NOT_PROVEN = "not-proven"


class Outage(StrEnum):
    """Why evidence could not be looked up."""

    NO_SUCH_VIEW = "no-such-view"
    DATABASE_ERROR = "database-error"


_RANK = {status: rank for rank, status in enumerate(Status)}


class Stand(NamedTuple):
    """How an evidence type stands, and why it is not met."""

    status: Status
    reason: str | None = None


MET = Stand(Status.MET)


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """How a requirement stands: met by these evidence types, or not, with a reason, for what was tried."""

    requirement: Requirement
    status: Status
    reason: str | None
    evidence_types: tuple[EvidenceTypeId, ...]


def source(decision: Decision, looked_up: Pieces | Outage | None, staleness: Staleness | None) -> Pieces | Stand:
    """Where the pieces of an evidence type are, for all who ask alike; or how it stands for all of them.

    What is not permitted was not looked up: `looked_up` is None then.
    """
    if isinstance(decision, Denied):
        return Stand(Status.NOT_PERMITTED, decision.reason)
    if looked_up is None or isinstance(looked_up, Outage):
        return Stand(Status.UNAVAILABLE, looked_up or Outage.DATABASE_ERROR)
    if staleness is not None:
        return Stand(Status.STALE, staleness)
    return looked_up


def weigh(pieces: Sequence[Piece]) -> tuple[Stand, Sequence[Piece]]:
    """How an evidence type stands by one person's pieces, and those of them that prove it."""
    proving = [piece for piece in pieces if piece.is_proven]
    if proving:
        return MET, proving
    return Stand(Status.UNMET, Lack.NOT_PROVEN if pieces else Lack.NO_RECORD), ()


def judge(procedure: Procedure, stands: Mapping[EvidenceTypeId, Stand]) -> Sequence[Judged]:
    """How each requirement of a procedure stands, in its order."""
    return [_judge(requirement, stands) for requirement in procedure.requirements]


def disclosed(judged: Sequence[Judged]) -> frozenset[EvidenceTypeId]:
    """The evidence types whose claims leave: those that a requirement is met by, nothing else."""
    return frozenset(name for one in judged if one.status is Status.MET for name in one.evidence_types)


def _judge(requirement: Requirement, stands: Mapping[EvidenceTypeId, Stand]) -> Judged:
    lists = requirement.evidence_lists
    # Of equals the first: the order of the catalogue counts.
    deciding = [min((stands[name] for name in names), key=_rank) for names in lists]
    best = max(deciding, key=_rank)
    if best.status is Status.MET:
        shown = lists[deciding.index(best)]
    else:
        every = dict.fromkeys(name for names in lists for name in names)
        shown = tuple(name for name in every if stands[name].status is not Status.MET)
    return Judged(requirement=requirement, status=best.status, reason=best.reason, evidence_types=shown)


def _rank(stand: Stand) -> int:
    return _RANK[stand.status]
