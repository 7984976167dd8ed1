"""Who may ask what: a pure function of the agreements, that denies unless one of them permits."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum

from registry.contracts import Agreement, AgreementId, EvidenceType, ProcedureId


class Denial(StrEnum):
    """Why an evidence type is not given; where several agreements deny, the reason that stands last here is told."""

    DECISION_FAILED = "decision-failed"
    NO_AGREEMENT = "no-agreement"
    NOT_ACCEPTED = "not-accepted"
    REVOKED = "revoked"
    EXPIRED = "expired"
    NOT_YET_VALID = "not-yet-valid"
    SUSPENDED = "suspended"
    BUDGET_SPENT = "budget-spent"
    CASE_REFERENCE_REQUIRED = "case-reference-required"
    ACTING_USER_REQUIRED = "acting-user-required"
    TOO_MANY_PERSONS = "too-many-persons"


_RANK = {reason: rank for rank, reason in enumerate(Denial)}


class Standing(StrEnum):
    """What became of an agreement after both sides accepted it; spent until its hour or day is over."""

    IN_FORCE = "in-force"
    SUSPENDED = "suspended"
    REVOKED = "revoked"
    SPENT = "spent"


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is asked, without the persons: by whom, for which procedure, on whose behalf, when, about how many."""

    requester: str
    procedure: ProcedureId
    has_case_reference: bool
    has_acting_user: bool
    now: datetime
    persons: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Permitted:
    """An evidence type may be given: these claims, from views no older than this, under this agreement."""

    agreement: AgreementId
    purpose: str
    claims: tuple[str, ...]
    age_max: timedelta | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Denied:
    """An evidence type is not given; `agreement` is the one that came nearest to permitting it."""

    reason: Denial
    agreement: AgreementId | None = None


Decision = Permitted | Denied


class Agreements:
    """The agreements, found by what they are about, and their standings."""

    def __init__(
        self, agreements: Iterable[Agreement], standings: Mapping[AgreementId, Standing] | None = None
    ) -> None:
        self._standings = standings or {}
        self._found: dict[tuple[str, str, str], tuple[Agreement, ...]] = {}
        for agreement in sorted(agreements, key=lambda one: one.id):
            key = (agreement.requester, agreement.procedure, agreement.evidence_type)
            self._found[key] = (*self._found.get(key, ()), agreement)

    def about(self, question: Question, evidence_type: EvidenceType) -> tuple[Agreement, ...]:
        """The agreements that this requester has for this procedure and evidence type, whatever their standing."""
        return self._found.get((question.requester, question.procedure, evidence_type.id), ())

    def standing(self, agreement: Agreement) -> Standing:
        """What became of an agreement; in force when nothing is known."""
        return self._standings.get(agreement.id, Standing.IN_FORCE)


def decide(agreements: Agreements, question: Question, evidence_type: EvidenceType) -> Decision:
    """Whether an evidence type may be given; any error in deciding denies."""
    try:
        nearest = Denied(reason=Denial.NO_AGREEMENT)
        for agreement in agreements.about(question, evidence_type):
            reason = _objection(agreement, agreements.standing(agreement), question, evidence_type)
            if reason is None:
                return Permitted(
                    agreement=agreement.id,
                    purpose=agreement.purpose,
                    claims=agreement.claims,
                    age_max=agreement.age_max,
                )
            if _RANK[reason] > _RANK[nearest.reason]:
                nearest = Denied(reason=reason, agreement=agreement.id)
    except Exception:  # a decision that fails must deny, whatever the fault is; the reason is recorded
        return Denied(reason=Denial.DECISION_FAILED)
    return nearest


def _objection(
    agreement: Agreement, standing: Standing, question: Question, evidence_type: EvidenceType
) -> Denial | None:
    """The first reason why one agreement does not permit; None when it does."""
    if agreement.provider != evidence_type.provider:
        return Denial.NO_AGREEMENT
    if not (agreement.accepted_by_provider and agreement.accepted_by_requester):
        return Denial.NOT_ACCEPTED
    if standing is Standing.REVOKED:
        return Denial.REVOKED
    today = question.now.astimezone(UTC).date()
    if today >= agreement.valid_until:
        return Denial.EXPIRED
    if today < agreement.valid_from:
        return Denial.NOT_YET_VALID
    if standing is Standing.SPENT:
        return Denial.BUDGET_SPENT
    if standing is not Standing.IN_FORCE:
        return Denial.SUSPENDED
    if agreement.demands_case_reference and not question.has_case_reference:
        return Denial.CASE_REFERENCE_REQUIRED
    if agreement.demands_acting_user and not question.has_acting_user:
        return Denial.ACTING_USER_REQUIRED
    if question.persons > agreement.persons_per_call:
        return Denial.TOO_MANY_PERSONS
    return None


def changes_on(today: date) -> datetime:
    """When a decision made today may change by the calendar alone: agreements begin and end with a day in UTC."""
    return datetime.combine(today + timedelta(days=1), datetime.min.time(), tzinfo=UTC)
