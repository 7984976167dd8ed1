from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producers.bodies import BodyReader
from registry.contracts import RecordType

DAY = {"type": "int", "logicalType": "date"}
INSTANT = {"type": "long", "logicalType": "timestamp-micros"}
FIELDS = [
    {"name": "text", "type": "string"},
    {"name": "small", "type": "int"},
    {"name": "large", "type": "long"},
    {"name": "share", "type": ["null", "double"], "default": None},
    {"name": "is_open", "type": "boolean"},
    {"name": "day", "type": ["null", DAY], "default": None},
    {"name": "at", "type": ["null", INSTANT], "default": None},
    {"name": "tags", "type": {"type": "array", "items": "string"}},
]
KIND = RecordType(
    id="some-agency.thing",
    agency="some-agency",
    title={},
    body={"type": "record", "name": "Thing", "fields": FIELDS},
    record_key_field=None,
    fields=(),
    rules=(),
    freshness=timedelta(days=1),
    heartbeat=timedelta(minutes=1),
)
GOOD = {
    "text": "یک",
    "small": -(2**31),
    "large": 2**63 - 1,
    "share": 0.5,
    "is_open": True,
    "day": "2020-02-29",
    "at": "2020-02-29T12:00:00.000001+03:30",
    "tags": ["a", ""],
}
READ = {
    **GOOD,
    "day": date(2020, 2, 29),
    "at": datetime(2020, 2, 29, 8, 30, 0, 1, UTC),
    "has_body": True,
}


@pytest.fixture(scope="module")
def reader():
    return BodyReader(KIND)


def test_a_body_is_read_as_the_contract_says(reader):
    bodies = reader.read([GOOD])

    assert bodies.faults == {}
    assert bodies.frame.to_dicts() == [READ]


def test_what_a_body_leaves_out_is_null_and_an_absent_body_is_told_from_one_of_nulls(reader):
    bodies = reader.read([None, {}, {"text": "a"}])

    assert bodies.faults == {}
    assert bodies.frame["has_body"].to_list() == [False, True, True]
    assert bodies.frame["text"].to_list() == [None, None, "a"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("text", 1),
        ("text", ["a"]),
        ("small", 2**31),
        ("small", "5"),
        ("small", True),
        ("small", 5.5),
        ("large", 2**63),
        ("large", 1e300),
        ("share", "0.5"),
        ("share", True),
        ("share", float("inf")),
        ("share", 10**400),
        ("is_open", 1),
        ("day", "2020-02-30"),
        ("day", "20200229"),
        ("day", "2020-W01-1"),
        ("day", "2020-02-29T00:00:00Z"),
        ("day", 5),
        ("at", "2020-02-29T12:00:00"),
        ("at", "soon"),
        ("at", 5),
        ("tags", "a"),
        ("tags", ["a", None]),
        ("colour", "red"),
    ],
)
def test_a_value_that_does_not_read_refuses_its_row_alone_and_names_the_field(reader, field, value):
    bodies = reader.read([GOOD, {**GOOD, field: value}, GOOD])

    assert bodies.faults == {1: field}
    assert bodies.frame[0].to_dicts() == bodies.frame[2].to_dicts() == [READ]
    assert reader.read([{**GOOD, field: value}]).faults == {0: field}


@pytest.mark.parametrize("body", [[], "text", 5, True])
def test_what_is_no_object_is_told_as_a_whole(reader, body):
    assert reader.read([GOOD, body]).faults == {1: "body"}


def test_a_number_may_be_written_in_another_way_of_json(reader):
    bodies = reader.read([{**GOOD, "small": 5.0, "share": 2}])

    assert bodies.faults == {}
    assert (bodies.frame["small"].item(), bodies.frame["share"].item()) == (5, 2.0)


VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.text(max_size=3),
    st.lists(st.text(max_size=1), max_size=2),
)
BODIES = st.one_of(st.none(), st.dictionaries(st.sampled_from([one["name"] for one in FIELDS]), VALUES, max_size=3))


@given(st.lists(BODIES, max_size=3))
def test_a_body_is_read_the_same_whatever_stands_beside_it(bodies):
    together = BodyReader(KIND).read(bodies)

    alone = [BodyReader(KIND).read([body]) for body in bodies]
    assert together.faults == {row: one.faults[0] for row, one in enumerate(alone) if one.faults}
    for row, one in enumerate(alone):
        if not one.faults:
            assert one.frame.equals(together.frame[row])
