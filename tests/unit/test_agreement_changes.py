from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from consumers.agreements.changes import WATCH, AgreementError, Change, ChangeKind, check, fold
from consumers.evidence.decision import Standing
from registry.contracts import Agency, Agreement, Catalogue, Claim, EvidenceType, Per, Procedure, Requirement

NOW = datetime(2026, 6, 1, tzinfo=UTC)
AGREED = Agreement(
    id="benefit.clearance",
    requester="labour",
    provider="tax",
    evidence_type="clearance",
    procedure="benefit",
    purpose="eligibility",
    legal_basis="Act 1",
    claims=("cleared",),
    age_max=timedelta(hours=1),
    persons_per_hour=100,
    valid_from=date(2026, 1, 1),
    valid_until=date(2026, 12, 31),
    demands_case_reference=False,
    demands_acting_user=False,
    accepted_by_provider=True,
    accepted_by_requester=True,
)
CATALOGUE = Catalogue(
    national_id_scheme="iran",
    agencies={one: Agency(id=one, title={}) for one in ("labour", "tax", "welfare")},
    record_types={},
    evidence_types={
        "clearance": EvidenceType(
            id="clearance",
            provider="tax",
            title={},
            per=Per.RECORD,
            views={"t": "tax.status"},
            claims=(Claim(name="cleared", title={}, sql="true"),),
            proven_when=None,
        )
    },
    procedures={
        "benefit": Procedure(
            id="benefit",
            agency="labour",
            title={},
            legal_basis="",
            requirements=(Requirement(id="r", title={}, evidence_lists=(("clearance",),)),),
        )
    },
    agreements={AGREED.id: AGREED},
)


def change(kind, agency, terms=None, name=AGREED.id):
    return Change(at=NOW, agreement=name, kind=ChangeKind(kind), agency=agency, terms=terms)


def made(*changes):
    """What changes come to, each checked against those before it."""
    done = []
    for one in changes:
        check(CATALOGUE, fold(CATALOGUE, done), one)
        done.append(one)
    return fold(CATALOGUE, done)


def test_without_changes_the_catalogue_counts():
    rights = made()

    assert rights.agreements == CATALOGUE.agreements
    assert rights.standing(AGREED.id) is Standing.IN_FORCE


@pytest.mark.parametrize("agency", ["tax", "labour", WATCH])
def test_either_side_and_the_watch_may_suspend(agency):
    assert made(change("suspended", agency)).standing(AGREED.id) is Standing.SUSPENDED


def test_only_the_provider_lets_a_suspended_agreement_go_on():
    rights = made(change("suspended", "tax"), change("resumed", "tax"))

    assert rights.standing(AGREED.id) is Standing.IN_FORCE
    with pytest.raises(AgreementError, match="only its provider 'tax' resumes"):
        made(change("suspended", "tax"), change("resumed", "labour"))


def test_a_revoked_agreement_ends_until_it_is_proposed_and_accepted_anew():
    again = [change("revoked", "labour"), change("proposed", "labour", AGREED)]
    terms = replace(AGREED, accepted_by_provider=False, accepted_by_requester=False)
    again[1] = change("proposed", "labour", terms)

    with pytest.raises(AgreementError, match="was revoked"):
        made(change("revoked", "labour"), change("accepted", "tax"))
    proposed, accepted = made(*again), made(*again, change("accepted", "tax"))

    assert proposed.standing(AGREED.id) is Standing.IN_FORCE
    assert not proposed.agreements[AGREED.id].accepted_by_provider
    assert accepted.agreements[AGREED.id] == AGREED


def test_new_terms_need_both_sides_again():
    wider = replace(AGREED, persons_per_hour=999, accepted_by_provider=False, accepted_by_requester=False)

    rights = made(change("proposed", "labour", wider))

    one = rights.agreements[AGREED.id]
    assert (one.persons_per_hour, one.accepted_by_requester, one.accepted_by_provider) == (999, True, False)


@pytest.mark.parametrize(
    ("one", "told"),
    [
        (change("suspended", "welfare"), "no side of the agreement"),
        (change("suspended", "tax", name="none"), "there is no agreement 'none'"),
        (change("resumed", "tax"), "is in-force"),
        (change("proposed", "welfare", AGREED), "no side of these terms"),
        (change("proposed", "labour", replace(AGREED, claims=("debt",))), "has no claims debt"),
        (change("proposed", "labour", replace(AGREED, claims=())), "has no claims that were named"),
        (change("proposed", "labour", replace(AGREED, provider="labour")), "the provider of 'clearance' is 'tax'"),
        (change("proposed", "labour", replace(AGREED, procedure="none")), "that the catalogue has not"),
        (change("proposed", "tax", replace(AGREED, requester="none")), "that the catalogue has not"),
        (change("proposed", "tax", replace(AGREED, valid_until=date(2025, 1, 1))), "would never permit"),
        (change("proposed", "welfare", replace(AGREED, requester="welfare")), "is an agreement of others"),
    ],
)
def test_what_may_not_be_changed_is_refused_with_the_reason(one, told):
    with pytest.raises(AgreementError, match=told):
        made(one)


def test_a_change_of_an_agreement_that_the_catalogue_dropped_is_no_fault():
    rights = fold(replace(CATALOGUE, agreements={}), [change("suspended", "tax")])

    assert rights.agreements == {}
