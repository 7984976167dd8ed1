"""How things stand: how far each view is, what each source has sent, and which services are document-free.

A procedure is document-free when each of its requirements can be met from live views under a valid agreement. A view is
live when it holds events and is as fresh as its contract promises. Pure functions of values that were read before.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType

from consumers.evidence.decision import Agreements, Denial, Denied, Question, decide
from consumers.evidence.freshness import Clock, Staleness
from registry.contracts import (
    AgencyId,
    AgreementId,
    Catalogue,
    EvidenceTypeId,
    Procedure,
    ProcedureId,
    RecordTypeId,
    Requirement,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewStatus:
    """One view: its rows, and how far it has read its topic; `end_of_log` is None when Kafka does not say.

    Everything that the bus had at `as_of` is in the view; None while a partition has never been read to its end.
    """

    view: RecordTypeId
    agency: AgencyId
    rows: int
    rows_are_estimated: bool
    position: int
    end_of_log: int | None
    as_of: datetime | None

    @property
    def lag_events(self) -> int | None:
        """The events of the log that are not in the view yet."""
        return None if self.end_of_log is None else max(self.end_of_log - self.position, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceStatus:
    """What a view has received of one source, which numbers its events densely from 1.

    Everything that a source with a heartbeat had sent until `whole_until` is in the view.
    """

    view: str
    source: str
    highest_sequence: int
    received: int
    recorded_at: datetime | None
    heard_at: datetime | None = None
    whole_until: datetime | None = None

    @property
    def missing(self) -> int:
        """The events that the source has sent and the view has not received: lost, or still on their way."""
        return max(self.highest_sequence - self.received, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class QuarantineStatus:
    """How many events of a view wait in quarantine for one reason."""

    view: str
    reason: str
    waiting: int


class Absence(StrEnum):
    """Why a view can prove nothing at all."""

    NO_EVENTS = "no-events-yet"


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """One thing that a procedure lacks to be document-free: a valid agreement, or a live view."""

    requirement: str
    evidence_type: EvidenceTypeId
    provider: AgencyId
    reason: Denial | Staleness | Absence
    view: RecordTypeId | None = None
    agreement: AgreementId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcedureStatus:
    """What a procedure lacks to be document-free; nothing when it is."""

    procedure: ProcedureId
    agency: AgencyId
    requirements: int
    missing: tuple[Missing, ...]

    @property
    def is_document_free(self) -> bool:
        """Whether a citizen has nothing to upload."""
        return not self.missing


@dataclass(frozen=True, slots=True, kw_only=True)
class AgencyStatus:
    """An agency on both sides: its record types that have events and what is doubted of them, and its procedures."""

    agency: AgencyId
    record_types: int
    record_types_with_events: int
    procedures: int
    document_free: int
    open_findings: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """How things stand at one instant."""

    at: datetime
    views: tuple[ViewStatus, ...]
    sources: tuple[SourceStatus, ...]
    quarantine: tuple[QuarantineStatus, ...]
    procedures: tuple[ProcedureStatus, ...]
    agencies: tuple[AgencyStatus, ...]

    @property
    def document_free(self) -> int:
        """How many procedures are document-free."""
        return sum(one.is_document_free for one in self.procedures)


def procedure_statuses(
    catalogue: Catalogue, views: Iterable[ViewStatus], agreements: Agreements, now: datetime
) -> tuple[ProcedureStatus, ...]:
    """What each procedure lacks; for a requirement that nothing meets, what its nearest way lacks."""
    judge = _Judge(catalogue, views, agreements, now)
    return tuple(
        ProcedureStatus(
            procedure=procedure.id,
            agency=procedure.agency,
            requirements=len(procedure.requirements),
            missing=tuple(
                one for requirement in procedure.requirements for one in judge.requirement(procedure, requirement)
            ),
        )
        for procedure in catalogue.procedures.values()
    )


def agency_statuses(
    catalogue: Catalogue,
    views: Sequence[ViewStatus],
    procedures: Sequence[ProcedureStatus],
    open_findings: Mapping[str, int] = MappingProxyType({}),
) -> tuple[AgencyStatus, ...]:
    """Each agency with what it provides and what it offers."""
    return tuple(
        AgencyStatus(
            agency=agency,
            record_types=sum(one.agency == agency for one in views),
            record_types_with_events=sum(one.agency == agency and one.rows > 0 for one in views),
            procedures=sum(one.agency == agency for one in procedures),
            document_free=sum(one.agency == agency and one.is_document_free for one in procedures),
            open_findings=open_findings.get(agency, 0),
        )
        for agency in catalogue.agencies
    )


class _Judge:
    def __init__(
        self, catalogue: Catalogue, views: Iterable[ViewStatus], agreements: Agreements, now: datetime
    ) -> None:
        self._catalogue = catalogue
        self._agreements = agreements
        self._views: Mapping[RecordTypeId, ViewStatus] = {one.view: one for one in views}
        caught_up = {one.view: one.as_of for one in self._views.values() if one.as_of is not None}
        self._clock = Clock(caught_up=caught_up, now=now)

    def requirement(self, procedure: Procedure, requirement: Requirement) -> tuple[Missing, ...]:
        """What the list of evidence types lacks that lacks least."""
        ways = (
            tuple(lack for name in way for lack in self._evidence(procedure, requirement, name))
            for way in requirement.evidence_lists
        )
        return min(ways, key=len)

    def _evidence(self, procedure: Procedure, requirement: Requirement, name: EvidenceTypeId) -> tuple[Missing, ...]:
        evidence_type = self._catalogue.evidence_types[name]
        question = Question(
            requester=procedure.agency,
            procedure=procedure.id,
            has_case_reference=True,
            has_acting_user=True,
            now=self._clock.now,
        )
        decision = decide(self._agreements, question, evidence_type)
        age_max = None if isinstance(decision, Denied) else decision.age_max
        lacks: list[tuple[Denial | Staleness | Absence, RecordTypeId | None, AgreementId | None]] = []
        if isinstance(decision, Denied):
            lacks.append((decision.reason, None, decision.agreement))
        for view in evidence_type.views.values():
            record_type = self._catalogue.record_types[view]
            status = self._views.get(view)
            if status is None or not status.rows:
                lacks.append((Absence.NO_EVENTS, view, None))
            elif staleness := self._clock.staleness([record_type], age_max=age_max, known_at=None):
                lacks.append((staleness, view, None))
        return tuple(
            Missing(
                requirement=requirement.id,
                evidence_type=name,
                provider=evidence_type.provider,
                reason=reason,
                view=view,
                agreement=agreement,
            )
            for reason, view, agreement in lacks
        )
