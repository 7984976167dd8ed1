from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumers.evidence.decision import Agreements, Denial, Denied, Permitted, Question, Standing, decide
from registry.contracts import Agreement, EvidenceType, Per

NOON = datetime(2026, 6, 15, 12, tzinfo=UTC)
TYPE = EvidenceType(
    id="clearance", provider="tax", title={}, per=Per.RECORD, views={"t": "tax.status"}, claims=(), proven_when=None
)
AGREEMENT = Agreement(
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
QUESTION = Question(requester="labour", procedure="benefit", has_case_reference=False, has_acting_user=False, now=NOON)


def decided(*agreements, question=QUESTION, standings=None):
    return decide(Agreements(agreements, standings), question, TYPE)


def test_an_agreement_that_both_accepted_and_that_is_in_force_permits_its_claims():
    decision = decided(AGREEMENT)

    assert decision == Permitted(
        agreement="benefit.clearance", purpose="eligibility", claims=("cleared",), age_max=timedelta(hours=1)
    )


@pytest.mark.parametrize(
    ("changed", "question", "reason"),
    [
        ({"requester": "welfare"}, {}, Denial.NO_AGREEMENT),
        ({"procedure": "other"}, {}, Denial.NO_AGREEMENT),
        ({"evidence_type": "other"}, {}, Denial.NO_AGREEMENT),
        ({"provider": "welfare"}, {}, Denial.NO_AGREEMENT),
        ({"accepted_by_provider": False}, {}, Denial.NOT_ACCEPTED),
        ({"accepted_by_requester": False}, {}, Denial.NOT_ACCEPTED),
        ({"valid_until": date(2026, 6, 15)}, {}, Denial.EXPIRED),
        ({"valid_from": date(2026, 6, 16)}, {}, Denial.NOT_YET_VALID),
        ({"demands_case_reference": True}, {}, Denial.CASE_REFERENCE_REQUIRED),
        ({"demands_acting_user": True}, {"has_case_reference": True}, Denial.ACTING_USER_REQUIRED),
        ({"valid_until": None}, {}, Denial.DECISION_FAILED),
    ],
)
def test_what_an_agreement_does_not_say_is_denied_with_the_reason(changed, question, reason):
    decision = decided(replace(AGREEMENT, **changed), question=replace(QUESTION, **question))

    assert isinstance(decision, Denied)
    assert decision.reason == reason


@pytest.mark.parametrize(
    ("standing", "reason"), [(Standing.SUSPENDED, Denial.SUSPENDED), (Standing.REVOKED, Denial.REVOKED)]
)
def test_an_agreement_that_was_stopped_denies(standing, reason):
    decision = decided(AGREEMENT, standings={AGREEMENT.id: standing})

    assert decision == Denied(reason=reason, agreement=AGREEMENT.id)


@pytest.mark.parametrize("now", [datetime(2026, 6, 15, 23, 59, tzinfo=UTC), datetime(2026, 6, 15, tzinfo=UTC)])
def test_the_first_and_the_last_day_belong_to_an_agreement(now):
    one_day = replace(AGREEMENT, valid_from=date(2026, 6, 15), valid_until=date(2026, 6, 16))

    assert isinstance(decided(one_day, question=replace(QUESTION, now=now)), Permitted)


def test_a_new_agreement_permits_beside_an_expired_one():
    expired = replace(AGREEMENT, id="a-earlier", valid_until=date(2026, 1, 2))

    assert decided(expired, AGREEMENT) == decided(AGREEMENT, expired) == decided(AGREEMENT)


def test_of_several_agreements_that_deny_the_nearest_tells_its_reason():
    expired = replace(AGREEMENT, id="z", valid_until=date(2026, 1, 2))
    demanding = replace(AGREEMENT, demands_case_reference=True)

    assert decided(expired, demanding) == Denied(reason=Denial.CASE_REFERENCE_REQUIRED, agreement=AGREEMENT.id)


days = st.integers(-3, 3).map(lambda shift: NOON.date() + timedelta(days=shift))
names = st.sampled_from(["labour", "tax", "welfare"])


@given(
    st.lists(
        st.builds(
            replace,
            st.just(AGREEMENT),
            requester=names,
            provider=names,
            procedure=st.sampled_from(["benefit", "loan"]),
            evidence_type=st.sampled_from(["clearance", "identity"]),
            valid_from=days,
            valid_until=days,
            accepted_by_provider=st.booleans(),
            accepted_by_requester=st.booleans(),
            demands_case_reference=st.booleans(),
            demands_acting_user=st.booleans(),
            id=st.sampled_from(["a", "b", "c"]),
        ),
        max_size=4,
        unique_by=lambda one: one.id,
    ),
    st.dictionaries(st.sampled_from(["a", "b", "c"]), st.sampled_from(list(Standing))),
    st.booleans(),
    st.booleans(),
)
def test_nothing_is_permitted_but_by_an_agreement_that_says_exactly_this(agreements, standings, has_case, has_user):
    question = replace(QUESTION, has_case_reference=has_case, has_acting_user=has_user)

    decision = decided(*agreements, question=question, standings=standings)

    permitting = [
        one.id
        for one in agreements
        if (one.requester, one.provider, one.procedure, one.evidence_type) == ("labour", "tax", "benefit", "clearance")
        and one.accepted_by_provider
        and one.accepted_by_requester
        and one.valid_from <= NOON.date() < one.valid_until
        and standings.get(one.id, Standing.IN_FORCE) is Standing.IN_FORCE
        and (has_case or not one.demands_case_reference)
        and (has_user or not one.demands_acting_user)
    ]
    if permitting:
        assert isinstance(decision, Permitted)
        assert decision.agreement == min(permitting)
    else:
        assert isinstance(decision, Denied)
