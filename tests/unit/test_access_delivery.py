from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from consumers.accesses.delivery import Deliveries

START = datetime(2026, 1, 1, tzinfo=UTC)


def test_nothing_that_is_under_way_counts_as_answered():
    deliveries = Deliveries()
    first = deliveries.begin(START)
    second = deliveries.begin(START + timedelta(seconds=1))

    deliveries.end(second)
    while_first_is_under_way = deliveries.answered_until()
    deliveries.end(first)

    assert while_first_is_under_way == START
    assert deliveries.answered_until() > START + timedelta(seconds=1)


@given(st.lists(st.integers(0, 9), max_size=60))
def test_the_time_is_that_of_the_oldest_that_is_under_way(ends):
    deliveries = Deliveries()
    under_way = {}

    for turn, which in enumerate(ends):
        at = START + timedelta(seconds=turn)
        under_way[deliveries.begin(at)] = at
        number = list(under_way)[which % len(under_way)]
        deliveries.end(number)
        del under_way[number]

        until = deliveries.answered_until()
        assert until == min(under_way.values()) if under_way else until > at


def test_an_answer_that_ends_twice_is_no_fault():
    deliveries = Deliveries()
    number = deliveries.begin(START)

    deliveries.end(number)
    deliveries.end(number)

    assert deliveries.answered_until() > START
