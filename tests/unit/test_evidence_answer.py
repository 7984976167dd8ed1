from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumers.evidence.answer import MET, Lack, Outage, Stand, Status, disclosed, judge, source, weigh
from consumers.evidence.decision import Denial, Denied, Permitted
from consumers.evidence.freshness import Staleness
from consumers.evidence.queries import Piece, Pieces
from registry.contracts import Procedure, Requirement

NAMES = ["a", "b", "c", "d"]
PERMITTED = Permitted(agreement="x", purpose="p", claims=(), age_max=timedelta(hours=1))


PROVING, OTHER = Piece(True, b"{}"), Piece(False, b"{}")
LOOKED_UP = Pieces({}, [])


def judged(lists, statuses):
    stands = {
        name: Stand(status, None if status is Status.MET else f"{name}-reason") for name, status in statuses.items()
    }
    requirement = Requirement(id="r", title={}, evidence_lists=tuple(tuple(names) for names in lists))
    procedure = Procedure(id="p", agency="g", title={}, legal_basis="", requirements=(requirement,))
    return judge(procedure, stands)[0]


lists = st.lists(st.lists(st.sampled_from(NAMES), min_size=1, max_size=3, unique=True), min_size=1, max_size=3)
statuses = st.fixed_dictionaries({name: st.sampled_from(list(Status)) for name in NAMES})


@given(lists, statuses)
def test_a_requirement_is_met_when_all_of_some_list_is_met_and_only_then(lists, statuses):
    one = judged(lists, statuses)

    met = [names for names in lists if all(statuses[name] is Status.MET for name in names)]
    assert (one.status is Status.MET) == bool(met)
    if met:
        assert list(one.evidence_types) == met[0]
        assert disclosed((one,)) == set(met[0])
        assert one.reason is None
    else:
        assert disclosed((one,)) == frozenset()
        assert one.reason is not None
        assert all(statuses[name] is not Status.MET for name in one.evidence_types)


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
    ("decision", "looked_up", "staleness", "expected"),
    [
        (PERMITTED, LOOKED_UP, None, LOOKED_UP),
        (PERMITTED, LOOKED_UP, Staleness.OLDER_THAN_AGREED, Stand(Status.STALE, Staleness.OLDER_THAN_AGREED)),
        (PERMITTED, Outage.NO_SUCH_VIEW, None, Stand(Status.UNAVAILABLE, Outage.NO_SUCH_VIEW)),
        (PERMITTED, Outage.NO_SUCH_VIEW, Staleness.NEVER_CAUGHT_UP, Stand(Status.UNAVAILABLE, Outage.NO_SUCH_VIEW)),
        (PERMITTED, None, None, Stand(Status.UNAVAILABLE, Outage.DATABASE_ERROR)),
        (Denied(reason=Denial.EXPIRED), LOOKED_UP, None, Stand(Status.NOT_PERMITTED, Denial.EXPIRED)),
    ],
)
def test_where_the_pieces_of_an_evidence_type_are_or_why_there_are_none(decision, looked_up, staleness, expected):
    assert source(decision, looked_up, staleness) == expected


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        ([PROVING], (MET, [PROVING])),
        ([], (Stand(Status.UNMET, Lack.NO_RECORD), ())),
        ([OTHER], (Stand(Status.UNMET, Lack.NOT_PROVEN), ())),
        ([OTHER, PROVING], (MET, [PROVING])),
    ],
)
def test_of_the_records_of_a_person_only_those_that_prove_are_given(pieces, expected):
    assert weigh(pieces) == expected
