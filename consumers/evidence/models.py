"""The bodies of the evidence API as its callers see them; the OpenAPI document is made from these."""

from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, field_validator, model_validator

from consumers.accesses.record import Delivery
from consumers.evidence.answer import Status
from consumers.evidence.freshness import SourceState

PERSONS_MAX = 100  # in one call: each is an access of its own, and all of them wait for one another

# Control characters would let one line of a record look like two.
Note = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]


NationalId = Annotated[str, StringConstraints(min_length=1, max_length=64)]


class EvidenceRequest(BaseModel):
    """What is asked, about whom, and for which case."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    procedure: str = Field(min_length=1, max_length=100, description="The procedure whose requirements are asked for.")
    national_id: NationalId | None = Field(
        default=None, repr=False, description="The person, in digits of any script; or who acts for another one."
    )
    national_ids: list[NationalId] | None = Field(
        default=None,
        min_length=1,
        max_length=PERSONS_MAX,
        repr=False,
        description="Many persons, where the agreement allows it, in place of one.",
    )
    represented_party: NationalId | None = Field(
        default=None,
        repr=False,
        description="The person whom the evidence is about, for whom the other one acts by a mandate.",
    )
    case_reference: Note | None = Field(default=None, description="The requester's own number of the case.")
    acting_user: Note | None = Field(default=None, description="The official who works on the case.")
    effective_at: AwareDatetime | None = Field(default=None, description="The instant at which facts must hold; now.")
    known_at: AwareDatetime | None = Field(default=None, description="What the bus knew at this instant; now.")

    @field_validator("effective_at", "known_at")
    @classmethod
    def is_past(cls, instant: datetime | None) -> datetime | None:
        """Facts do not show before they hold."""
        if instant is not None and instant > datetime.now(UTC):
            raise ValueError("must not be in the future")
        return instant

    @model_validator(mode="after")
    def names_persons_once(self) -> "EvidenceRequest":
        """One person, who may act for another one, or many."""
        if (self.national_id is None) == (self.national_ids is None):
            raise ValueError("name one person in national_id, or many in national_ids")
        if self.national_ids is not None and self.represented_party is not None:
            raise ValueError("a represented party needs the one person who acts, in national_id")
        return self


class PersonRequest(BaseModel):
    """A person, named."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    national_id: str = Field(min_length=1, max_length=64, repr=False)


class Freshness(BaseModel):
    """Everything that the bus had at `as_of` is in the evidence."""

    as_of: AwareDatetime | None
    lag_s: float | None
    source_state: SourceState
    heard_at: AwareDatetime | None = Field(description="When a source of it was heard last.")
    complete_until: AwareDatetime | None = Field(
        description="Everything that its sources had sent until then is in it."
    )
    missing_events: int = Field(description="Events that the sources sent and that never came.")


class EventPlace(BaseModel):
    """The place in the log of an event that is behind the evidence."""

    record_type: str
    event_id: UUID
    partition: int
    position: int


class Evidence(BaseModel):
    """One piece of evidence: claims, never a raw record, with their source and age."""

    evidence_type: str
    title: str
    provider: str
    agreement: str
    claims: dict[str, Any]
    effective_from: AwareDatetime | None
    effective_to: AwareDatetime | None
    recorded_at: AwareDatetime | None
    known_at: AwareDatetime | None
    events: list[EventPlace]
    under_investigation: list[str] = Field(description="Fields behind the evidence that the source itself doubts.")
    freshness: Freshness


class Tried(BaseModel):
    """An evidence type that does not meet the requirement, and why."""

    evidence_type: str
    provider: str
    status: Status
    reason: str | None


class RequirementAnswer(BaseModel):
    """How one requirement of the procedure stands."""

    requirement: str
    title: str
    status: Status
    reason: str | None
    evidence: list[Evidence] = Field(description="What meets it; empty unless it is met.")
    tried: list[Tried] = Field(description="What was tried; empty when it is met.")


class EvidenceAnswer(BaseModel):
    """The answer to one request; `access_id` is its access record, committed before the answer left."""

    access_id: UUID
    procedure: str
    title: str
    effective_at: AwareDatetime
    known_at: AwareDatetime | None
    is_complete: bool = Field(description="Whether every requirement is met.")
    requirements: list[RequirementAnswer]


class EvidenceAnswers(BaseModel):
    """The answers about many persons, in the order of the request; a problem where there is none."""

    answers: "list[EvidenceAnswer | Problem]"


class EvidenceTypeSummary(BaseModel):
    """An evidence type that can meet a requirement."""

    evidence_type: str
    title: dict[str, str]
    provider: str
    claims: dict[str, dict[str, str]] = Field(description="The claims' labels by language.")


class RequirementSummary(BaseModel):
    """A requirement: met by every evidence type of one of its lists."""

    requirement: str
    title: dict[str, str]
    evidence_lists: list[list[EvidenceTypeSummary]]


class ProcedureSummary(BaseModel):
    """A procedure by name."""

    procedure: str
    title: dict[str, str]
    agency: str


class ProcedureDescription(ProcedureSummary):
    """A procedure with all that it requires."""

    legal_basis: str
    requirements: list[RequirementSummary]


class Procedures(BaseModel):
    """Every procedure of the catalogue."""

    procedures: list[ProcedureSummary]


class AccessedEvidence(BaseModel):
    """What became of one evidence type; `claims` are the labels of those that left."""

    evidence_type: str
    title: str | None
    provider: str
    status: str
    reason: str | None
    agreement: str | None
    claims: dict[str, str | None]


class RecordedAccess(BaseModel):
    """One request about the person, granted or denied."""

    access_id: UUID
    at: AwareDatetime
    requester: str
    requester_title: str | None
    procedure: str | None
    procedure_title: str | None
    case_reference: str | None
    acting_user: str | None
    was_represented: bool = Field(description="Whether another person acted by a mandate.")
    purpose: str | None
    legal_basis: str | None
    effective_at: AwareDatetime | None
    known_at: AwareDatetime | None
    decision: str
    reason: str | None
    evidence: list[AccessedEvidence]
    delivery: Delivery = Field(description="Whether the answer was handed over; unknown where the service died.")


class Accesses(BaseModel):
    """A page of a person's accesses, the newest first; `next` is the next page's address."""

    accesses: list[RecordedAccess]
    next: str | None


class WrongField(BaseModel):
    """A field of the request that is wrong; never with its value."""

    field: str
    message: str


class Problem(BaseModel):
    """An error (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str | None = None
    access_id: UUID | None = None
    access_ids: list[UUID] | None = None
    errors: list[WrongField] | None = None
    requirements: list[RequirementAnswer] | None = None
