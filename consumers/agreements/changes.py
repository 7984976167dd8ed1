"""What a change does to the agreements: a pure fold over the catalogue's own.

An agreement permits when both sides accepted it and it was neither suspended nor revoked. Either side may suspend or
revoke; only the provider, whose data it is, lets a suspended one go on. A revoked one ends: it is proposed anew.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from consumers.errors import ConsumerError
from consumers.evidence.decision import Standing
from registry.contracts import Agreement, AgreementId, Catalogue

WATCH = "yekbar"  # who suspends when the harvest defence does; no agency of a catalogue


class AgreementError(ConsumerError):
    """A change that may not be made; the message says by whom or why."""

    exit_code = 65  # EX_DATAERR of sysexits.h


class ChangeKind(StrEnum):
    """What happens to an agreement."""

    PROPOSED = "proposed"
    ACCEPTED = "accepted"
    SUSPENDED = "suspended"
    RESUMED = "resumed"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One change, by an agency; `terms` is the whole agreement where it is proposed."""

    at: datetime
    agreement: AgreementId
    kind: ChangeKind
    agency: str
    reason: str | None = None
    terms: Agreement | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rights:
    """The agreements, and what became of those that were stopped."""

    agreements: Mapping[AgreementId, Agreement]
    standings: Mapping[AgreementId, Standing]

    def standing(self, name: AgreementId) -> Standing:
        """What became of an agreement."""
        return self.standings.get(name, Standing.IN_FORCE)


def fold(catalogue: Catalogue, changes: Iterable[Change]) -> Rights:
    """The agreements after the changes, in the order in which they were made."""
    agreements = dict(catalogue.agreements)
    standings: dict[AgreementId, Standing] = {}
    for change in changes:
        one = agreements.get(change.agreement)
        if change.terms is not None:
            agreements[change.agreement] = _accepted(change.terms, change.agency)
            standings.pop(change.agreement, None)
        elif one is not None:  # a catalogue may have dropped it since
            agreements[change.agreement] = _accepted(one, change.agency) if change.kind is ChangeKind.ACCEPTED else one
            standings[change.agreement] = _STANDINGS.get(
                change.kind, standings.get(change.agreement, Standing.IN_FORCE)
            )
    return Rights(agreements=agreements, standings=standings)


def check(catalogue: Catalogue, rights: Rights, change: Change) -> None:
    """Raises AgreementError when the change may not be made now."""
    if change.terms is not None:
        _check_terms(catalogue, rights, change.terms, change.agency)
        return
    one = rights.agreements.get(change.agreement)
    if one is None:
        raise AgreementError(f"there is no agreement '{change.agreement}'", remedy="see 'yekbar agreement list'")
    if change.agency not in (one.provider, one.requester, WATCH):
        raise AgreementError(f"'{change.agency}' is no side of the agreement '{one.id}'")
    standing = rights.standing(one.id)
    if standing is Standing.REVOKED:
        raise AgreementError(f"the agreement '{one.id}' was revoked", remedy="propose it anew")
    if change.kind is ChangeKind.RESUMED and (standing is not Standing.SUSPENDED or change.agency != one.provider):
        raise AgreementError(
            f"the agreement '{one.id}' is {standing.value}; only its provider '{one.provider}' resumes a suspended one"
        )


def _check_terms(catalogue: Catalogue, rights: Rights, terms: Agreement, agency: str) -> None:
    evidence_type = catalogue.evidence_types.get(terms.evidence_type)
    procedure = catalogue.procedures.get(terms.procedure)
    if terms.requester not in catalogue.agencies or evidence_type is None or procedure is None:
        raise AgreementError("the terms name a requester, evidence type or procedure that the catalogue has not")
    if terms.provider != evidence_type.provider:
        raise AgreementError(f"the provider of '{evidence_type.id}' is '{evidence_type.provider}'")
    if agency not in (terms.provider, terms.requester):
        raise AgreementError(f"'{agency}' is no side of these terms")
    unknown = set(terms.claims) - {claim.name for claim in evidence_type.claims}
    if unknown or not terms.claims:
        raise AgreementError(f"'{evidence_type.id}' has no claims {', '.join(sorted(unknown)) or 'that were named'}")
    asked = {name for one in procedure.requirements for names in one.evidence_lists for name in names}
    if terms.evidence_type not in asked:
        raise AgreementError(f"'{procedure.id}' does not require '{evidence_type.id}'")
    if terms.valid_from >= terms.valid_until or min(terms.persons_per_hour, terms.persons_per_call) < 1:
        raise AgreementError(
            "the agreement would never permit anything", remedy="look at its days and persons per hour"
        )
    before = rights.agreements.get(terms.id)
    sides = (terms.requester, terms.provider)
    if before is not None and (before.requester, before.provider) != sides:
        raise AgreementError(f"'{terms.id}' is an agreement of others", remedy="choose another id")


def _accepted(one: Agreement, agency: str) -> Agreement:
    return replace(
        one,
        accepted_by_provider=one.accepted_by_provider or agency == one.provider,
        accepted_by_requester=one.accepted_by_requester or agency == one.requester,
    )


_STANDINGS: Mapping[ChangeKind, Standing] = {
    ChangeKind.SUSPENDED: Standing.SUSPENDED,
    ChangeKind.RESUMED: Standing.IN_FORCE,
    ChangeKind.REVOKED: Standing.REVOKED,
}
