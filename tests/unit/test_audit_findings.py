import polars as pl
import pytest

from consumers.audit.findings import Course, FindingKind, missing, of_bounds
from consumers.audit.log import Stretch

PLACES = {"partition": pl.Int32, "position": pl.Int64, "known_at_ms": pl.Int64}


def found(messages, bounds, *, batch=100):
    course = Course(bounds)
    for start in range(0, len(messages), batch):
        course.follow(pl.DataFrame(messages[start : start + batch], schema=PLACES, orient="row"))
    kinds = [of_bounds(bounds), *course.end(bounds)]
    return [(one.kind, one.partition, one.positions) for kind in kinds for one in kind.findings("x.y", 10)]


def test_a_log_that_is_whole_has_no_findings():
    assert found([(0, 0, 5), (1, 0, 1), (0, 1, 5), (0, 2, 6)], {0: Stretch(0, 3), 1: Stretch(0, 1)}) == []


def test_an_empty_log_is_whole():
    assert found([], {0: Stretch(0, 0)}) == []


@pytest.mark.parametrize(
    ("positions", "hole"),
    [([1, 2, 3], (0, 0)), ([0, 3], (1, 2)), ([0, 1], (2, 3)), ([], (0, 3))],
    ids=["at the start", "inside", "at the end", "everywhere"],
)
def test_positions_that_hold_no_message_are_named(positions, hole):
    messages = [(0, place, 1) for place in positions]

    assert found(messages, {0: Stretch(0, 4)}) == [(FindingKind.HOLE, 0, hole)]


def test_a_hole_between_two_batches_is_named():
    messages = [(0, 0, 1), (1, 0, 5), (0, 2, 0), (1, 1, 5)]

    assert set(found(messages, {0: Stretch(0, 3), 1: Stretch(0, 2)}, batch=2)) == {
        (FindingKind.HOLE, 0, (1, 1)),
        (FindingKind.BACKWARDS, 0, (2, 2)),
    }


def test_a_message_that_the_log_took_before_the_one_ahead_of_it_is_named():
    messages = [(0, 0, 7), (0, 1, 6), (0, 2, 6), (1, 0, 1)]

    assert found(messages, {0: Stretch(0, 3), 1: Stretch(0, 1)}) == [(FindingKind.BACKWARDS, 0, (1, 1))]


def test_a_log_whose_start_is_gone_is_named():
    assert found([(0, 2, 1)], {0: Stretch(2, 3)}) == [(FindingKind.CUT, 0, (0, 1))]


def test_missing_sequences_are_told_by_source_whatever_the_order_in_which_they_came():
    events = pl.DataFrame({"source": ["b", "a", "a", "b", "a"], "sequence": [3, 5, 2, 1, 1]})

    assert missing(events).rows() == [("a", [3, 4]), ("b", [2, 2])]


def test_a_sequence_below_one_leaves_no_gap():
    assert missing(pl.DataFrame({"source": ["a", "a"], "sequence": [-5, 1]})).rows() == []
