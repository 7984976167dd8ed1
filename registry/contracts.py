"""The catalogue's values: agencies, record types, evidence types, procedures, agreements. Frozen, without I/O."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from typing import Any, NewType

AgencyId = NewType("AgencyId", str)
RecordTypeId = NewType("RecordTypeId", str)
EvidenceTypeId = NewType("EvidenceTypeId", str)
ProcedureId = NewType("ProcedureId", str)
AgreementId = NewType("AgreementId", str)
Labels = Mapping[str, str]  # language tag → text, at least "en" and "fa"

NATIONAL_ID_SCHEMES = ("iran", "luhn", "digits")  # those that `bus.national_id` knows


class Classification(StrEnum):
    """How much harm a field's disclosure does; decides what may be shown in logs (public only) and claims."""

    PUBLIC = "public"
    PERSONAL = "personal"
    SENSITIVE = "sensitive"


class Severity(StrEnum):
    """What a broken quality rule does: refuse stops the event before the send, flag marks it under investigation."""

    REFUSE = "refuse"
    FLAG = "flag"


@dataclass(frozen=True, slots=True, kw_only=True)
class Agency:
    """A competent authority."""

    id: AgencyId
    title: Labels


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One body field of a contract."""

    name: str
    title: Labels
    classification: Classification


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityRule:
    """A boolean SQL expression over the body's columns that must not be false; null counts as kept.

    `field` is the body field that a broken rule puts under investigation. A rule across registers has no expression:
    the person must be known in the register `known_in`, and it only ever flags, for that register may hear later.
    """

    id: str
    field: str
    check: str
    severity: Severity
    known_in: RecordTypeId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordType:
    """A contract: the versioned definition of a record type."""

    id: RecordTypeId
    agency: AgencyId
    title: Labels
    body: Mapping[str, Any]
    record_key_field: str | None
    fields: tuple[Field, ...]
    rules: tuple[QualityRule, ...]
    freshness: timedelta
    heartbeat: timedelta

    @property
    def rules_across(self) -> tuple[QualityRule, ...]:
        """The rules that ask another register."""
        return tuple(rule for rule in self.rules if rule.known_in is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """One named value of an evidence type: a SQL expression over the aliases of its views."""

    name: str
    title: Labels
    sql: str


class Per(StrEnum):
    """What one piece of evidence stands for: each record that holds, or the person with all of them together."""

    RECORD = "record"
    PERSON = "person"


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceType:
    """What may be asked: claims over one or more views; `views` maps an alias to a record type, the first leads.

    Per record: one piece for each record of the leading view that holds; the other views hold one record a person.
    Per person: claims are aggregates over the leading view's records, the only one; a person without any has a piece.
    `proven_when` is a boolean SQL expression over the claims' names; None when having the evidence is the proof.
    """

    id: EvidenceTypeId
    provider: AgencyId
    title: Labels
    per: Per
    views: Mapping[str, RecordTypeId]
    claims: tuple[Claim, ...]
    proven_when: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirement:
    """What a procedure must have proven: OR between the lists, AND inside one (CCCEV 2.0 EvidenceTypeList)."""

    id: str
    title: Labels
    evidence_lists: tuple[tuple[EvidenceTypeId, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Procedure:
    """A public service with its requirements and legal basis."""

    id: ProcedureId
    agency: AgencyId
    title: Labels
    legal_basis: str
    requirements: tuple[Requirement, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """Who may ask which evidence type, for which procedure, purpose and legal basis, within which limits."""

    id: AgreementId
    requester: AgencyId
    provider: AgencyId
    evidence_type: EvidenceTypeId
    procedure: ProcedureId
    purpose: str
    legal_basis: str
    claims: tuple[str, ...]
    age_max: timedelta | None
    persons_per_hour: int
    valid_from: date
    valid_until: date
    demands_case_reference: bool
    demands_acting_user: bool
    accepted_by_provider: bool
    accepted_by_requester: bool
    persons_per_call: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalogue:
    """A nation's whole profile; `mandates` is the record type by which one person acts for another."""

    title: Labels = dataclasses.field(default_factory=dict)
    national_id_scheme: str
    agencies: Mapping[AgencyId, Agency]
    record_types: Mapping[RecordTypeId, RecordType]
    evidence_types: Mapping[EvidenceTypeId, EvidenceType]
    procedures: Mapping[ProcedureId, Procedure]
    agreements: Mapping[AgreementId, Agreement]
    mandates: RecordTypeId | None = None
