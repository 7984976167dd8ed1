"""What is answered to a requirement: a pure function of what was found for each evidence type.

Statuses form an order. Inside a list (AND) the worst stands, between lists (OR) the best; so `unmet` is said only where
better data, rights or parts could not change it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from consumers.evidence.decision import Decision, Denied
from consumers.evidence.freshness import Staleness
from consumers.evidence.queries import Piece
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What was found for one evidence type; `pieces` are those that prove, empty unless it is met."""

    evidence_type: EvidenceTypeId
    status: Status
    reason: str | None = None
    pieces: tuple[Piece, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """How a requirement stands: met by these findings, or not, with a reason, for what was tried."""

    requirement: Requirement
    status: Status
    reason: str | None
    findings: tuple[Finding, ...]


def find(
    evidence_type: EvidenceTypeId,
    decision: Decision,
    *,
    pieces: Sequence[Piece] | Outage | None,
    staleness: Staleness | None,
) -> Finding:
    """What one evidence type comes to. What is not permitted was not looked up: `pieces` is None then."""
    if isinstance(decision, Denied):
        return Finding(evidence_type=evidence_type, status=Status.NOT_PERMITTED, reason=decision.reason)
    if pieces is None or isinstance(pieces, Outage):
        return Finding(evidence_type=evidence_type, status=Status.UNAVAILABLE, reason=pieces or Outage.DATABASE_ERROR)
    if staleness is not None:
        return Finding(evidence_type=evidence_type, status=Status.STALE, reason=staleness)
    proving = tuple(piece for piece in pieces if piece.is_proven)
    if not proving:
        lack = Lack.NOT_PROVEN if pieces else Lack.NO_RECORD
        return Finding(evidence_type=evidence_type, status=Status.UNMET, reason=lack)
    return Finding(evidence_type=evidence_type, status=Status.MET, pieces=proving)


def judge(procedure: Procedure, findings: Mapping[EvidenceTypeId, Finding]) -> tuple[Judged, ...]:
    """How each requirement of a procedure stands, in its order."""
    return tuple(_judge(requirement, findings) for requirement in procedure.requirements)


def disclosed(judged: Sequence[Judged]) -> frozenset[EvidenceTypeId]:
    """The evidence types whose claims leave: those that a requirement is met by, nothing else."""
    return frozenset(finding.evidence_type for one in judged if one.status is Status.MET for finding in one.findings)


def _judge(requirement: Requirement, findings: Mapping[EvidenceTypeId, Finding]) -> Judged:
    lists = [[findings[name] for name in names] for names in requirement.evidence_lists]
    deciding = [min(found, key=_rank) for found in lists]  # of equals the first: the order of the catalogue counts
    best = max(deciding, key=_rank)
    if best.status is Status.MET:
        shown = lists[deciding.index(best)]
    else:
        shown = [one for found in lists for one in found if one.status is not Status.MET]
    return Judged(
        requirement=requirement,
        status=best.status,
        reason=best.reason,
        findings=tuple({one.evidence_type: one for one in shown}.values()),
    )


def _rank(finding: Finding) -> int:
    return _RANK[finding.status]
