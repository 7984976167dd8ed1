from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumers.evidence.answer import Finding, Lack, Outage, Status, disclosed, find, judge
from consumers.evidence.decision import Denial, Denied, Permitted
from consumers.evidence.freshness import Staleness
from consumers.evidence.queries import Piece
from registry.contracts import Procedure, Requirement

NAMES = ["a", "b", "c", "d"]
PERMITTED = Permitted(agreement="x", purpose="p", claims=(), age_max=timedelta(hours=1))


def piece(*, is_proven=True):
    return Piece(
        claims={},
        is_proven=is_proven,
        effective_from=None,
        effective_to=None,
        recorded_at=None,
        known_at=None,
        events=(),
        under_investigation=(),
    )


def judged(lists, statuses):
    findings = {
        name: Finding(evidence_type=name, status=status, reason=None if status is Status.MET else f"{name}-reason")
        for name, status in statuses.items()
    }
    requirement = Requirement(id="r", title={}, evidence_lists=tuple(tuple(names) for names in lists))
    procedure = Procedure(id="p", agency="g", title={}, legal_basis="", requirements=(requirement,))
    return judge(procedure, findings)[0]


lists = st.lists(st.lists(st.sampled_from(NAMES), min_size=1, max_size=3, unique=True), min_size=1, max_size=3)
statuses = st.fixed_dictionaries({name: st.sampled_from(list(Status)) for name in NAMES})


@given(lists, statuses)
def test_a_requirement_is_met_when_all_of_some_list_is_met_and_only_then(lists, statuses):
    one = judged(lists, statuses)

    met = [names for names in lists if all(statuses[name] is Status.MET for name in names)]
    assert (one.status is Status.MET) == bool(met)
    if met:
        assert [found.evidence_type for found in one.findings] == met[0]
        assert disclosed((one,)) == set(met[0])
        assert one.reason is None
    else:
        assert disclosed((one,)) == frozenset()
        assert one.reason is not None
        assert all(found.status is not Status.MET for found in one.findings)


@given(lists, statuses)
def test_a_requirement_is_unmet_only_when_every_list_has_something_unmet(lists, statuses):
    one = judged(lists, statuses)

    is_hopeless = all(any(statuses[name] is Status.UNMET for name in names) for names in lists)
    assert (one.status is Status.UNMET) == is_hopeless


@given(lists, statuses, st.sampled_from(NAMES))
def test_better_evidence_never_makes_a_requirement_worse(lists, statuses, name):
    order = list(Status)
    before = judged(lists, statuses).status

    after = judged(lists, {**statuses, name: Status.MET}).status

    assert order.index(after) >= order.index(before)


@pytest.mark.parametrize(
    ("decision", "pieces", "staleness", "expected"),
    [
        (PERMITTED, [piece()], None, (Status.MET, None)),
        (PERMITTED, [], None, (Status.UNMET, Lack.NO_RECORD)),
        (PERMITTED, [piece(is_proven=False)], None, (Status.UNMET, Lack.NOT_PROVEN)),
        (PERMITTED, [piece()], Staleness.OLDER_THAN_AGREED, (Status.STALE, Staleness.OLDER_THAN_AGREED)),
        (PERMITTED, [], Staleness.NEVER_CAUGHT_UP, (Status.STALE, Staleness.NEVER_CAUGHT_UP)),
        (PERMITTED, Outage.NO_SUCH_VIEW, None, (Status.UNAVAILABLE, Outage.NO_SUCH_VIEW)),
        (PERMITTED, None, None, (Status.UNAVAILABLE, Outage.DATABASE_ERROR)),
        (Denied(reason=Denial.EXPIRED), [piece()], None, (Status.NOT_PERMITTED, Denial.EXPIRED)),
    ],
)
def test_what_an_evidence_type_comes_to(decision, pieces, staleness, expected):
    found = find("a", decision, pieces=pieces, staleness=staleness)

    assert (found.status, found.reason) == expected
    assert bool(found.pieces) == (found.status is Status.MET)


def test_of_the_records_of_a_person_only_those_that_prove_are_given():
    found = find("a", PERMITTED, pieces=[piece(is_proven=False), piece()], staleness=None)

    assert found.pieces == (piece(),)
