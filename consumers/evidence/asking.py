"""What is asked, and what may be answered: a plan is decided for each request alone, before any are joined."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from uuid import UUID

import structlog

from consumers.accesses.record import Verdict
from consumers.evidence.decision import Agreements, Decision, Denial, Denied, Permitted, Question, changes_on, decide
from registry.contracts import Catalogue, EvidenceTypeId, Procedure

PLANS_MAX = 10_000  # requesters × procedures × 4 is far below it; beyond, plans are made anew

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Plan:
    """What a requester may be given for a procedure, whoever the person is. One plan equals itself alone."""

    procedure: Procedure
    decisions: Mapping[EvidenceTypeId, Decision]
    permitted: Mapping[EvidenceTypeId, Permitted]
    verdict: Verdict
    reason: Denial | None
    purpose: str | None


class Refusal(StrEnum):
    """Why a request is refused as a whole, before anything is decided."""

    INVALID_NATIONAL_ID = "invalid-national-id"
    NO_SUCH_PROCEDURE = "no-such-procedure"
    NO_MANDATE = "no-mandate"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One request with its plan, ready to be joined with others.

    One that is refused as a whole, for `refusal`, is recorded all the same, and nothing is looked up for it.
    """

    access_id: UUID
    asked_at: datetime
    requester: str
    plan: Plan | None
    refusal: Refusal | None
    subject: UUID | None = field(repr=False)
    case_reference: str | None
    acting_user: str | None
    representative: UUID | None
    effective_at: datetime | None
    known_at: datetime | None
    language: str

    @property
    def verdict(self) -> Verdict:
        """Whether anything that was asked for is permitted."""
        return Verdict.DENIED if self.refusal is not None or self.plan is None else self.plan.verdict

    def instant(self, now: datetime) -> datetime:
        """The instant at which facts must hold: as asked for, else when they were to be known, else now."""
        return self.effective_at or self.known_at or now


class Planner:
    """Plans, each kept until the day ends or the agreements change."""

    def __init__(self, catalogue: Catalogue, agreements: Agreements) -> None:
        self._catalogue = catalogue
        self._agreements = agreements
        self._plans: dict[tuple[str, str, bool, bool, int], Plan] = {}
        self._valid_until = datetime.min.replace(tzinfo=UTC)

    def replace_agreements(self, agreements: Agreements) -> None:
        """The agreements that count from now on."""
        self._agreements = agreements
        self._plans = {}

    def plan(self, procedure: Procedure, question: Question) -> Plan:
        """What may be answered to this question."""
        if question.now >= self._valid_until or len(self._plans) >= PLANS_MAX:
            self._plans, self._valid_until = {}, changes_on(question.now.astimezone(UTC).date())
        key = (
            question.requester,
            procedure.id,
            question.has_case_reference,
            question.has_acting_user,
            question.persons,
        )
        plan = self._plans.get(key)
        if plan is None:
            plan = self._plans[key] = self._decide(procedure, question)
        return plan

    def _decide(self, procedure: Procedure, question: Question) -> Plan:
        names = dict.fromkeys(name for one in procedure.requirements for names in one.evidence_lists for name in names)
        decisions = {name: decide(self._agreements, question, self._catalogue.evidence_types[name]) for name in names}
        permitted = {name: one for name, one in decisions.items() if isinstance(one, Permitted)}
        denied = [one.reason for one in decisions.values() if isinstance(one, Denied)]
        purposes = dict.fromkeys(one.purpose for one in permitted.values())
        if Denial.DECISION_FAILED in denied:
            log.error("decision_failed", requester=question.requester, procedure=procedure.id)
        return Plan(
            procedure=procedure,
            decisions=decisions,
            permitted=permitted,
            verdict=Verdict.GRANTED if permitted else Verdict.DENIED,
            reason=None if permitted else max(denied, key=list(Denial).index, default=Denial.NO_AGREEMENT),
            purpose="; ".join(purposes) or None,
        )
