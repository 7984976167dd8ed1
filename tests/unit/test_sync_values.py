from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import polars as pl
import pytest

from bus.subject import Pseudonymizer
from producers.errors import MappingError
from producers.mapping import parsed_mapping
from producers.sync.cells import columns_of
from producers.sync.digests import Digests
from producers.sync.mapping import Gone, SyncMapping, duration, read_sync_mapping
from producers.sync.marks import ChangeColumn, restored, stored
from producers.sync.reading import table_reader
from producers.sync.table import Shape
from registry.catalogue import load_catalogue

CLOCK = datetime(2026, 11, 1, 12, tzinfo=UTC)
ADDRESS = load_catalogue(None).record_types["post.registered-address"]
PERSONS = Pseudonymizer(b"k" * 32, "iran")
FIELDS = {
    "national_id": "person",
    "effective_from": "since",
    "postal_code": "code",
    "province": {"constant": "فارس"},
    "city": "town",
}


def mapping(**said):
    return SyncMapping.model_validate({"record_type": str(ADDRESS.id), "table": "t", "fields": FIELDS, **said})


@pytest.mark.parametrize(
    ("values", "kind", "read"),
    [
        ([1, None, 2], pl.Int64(), [1, None, 2]),
        ([True, False], pl.Boolean(), [True, False]),
        ([Decimal("12"), Decimal("3.0")], pl.Int64(), [12, 3]),
        ([Decimal("12.50"), Decimal("3")], pl.String(), ["12.5", "3"]),
        ([12, "0012", None], pl.String(), ["12", "0012", None]),
        ([2**70], pl.String(), [str(2**70)]),
        ([None, None], pl.Null(), [None, None]),
        ([b"\x01\xff"], pl.String(), ["01ff"]),
        ([date(2024, 1, 1)], pl.Date(), [date(2024, 1, 1)]),
        ([datetime(2024, 1, 1, tzinfo=UTC)], pl.Datetime("us", "UTC"), [datetime(2024, 1, 1, tzinfo=UTC)]),
        ([["a", "b"], None], pl.List(pl.String()), [["a", "b"], None]),
    ],
)
def test_values_of_a_driver_are_columns_and_those_of_several_types_are_texts(values, kind, read):
    column = columns_of(["a"], [(value,) for value in values])["a"]

    assert (column.dtype, column.to_list()) == (kind, read)


def test_no_rows_are_columns_too():
    assert columns_of(["a", "b"], []).columns == ["a", "b"]


def test_a_digest_is_of_what_a_row_says_and_not_of_how_the_column_holds_it():
    digests = Digests(ADDRESS, source="post/sync", pseudonymizer=PERSONS)
    shape = Shape(types=dict.fromkeys(["person", "since", "code", "town"], ""))
    reader = table_reader(ADDRESS, mapping(), shape, pseudonymizer=PERSONS, place="the mapping")
    as_numbers = columns_of(["person", "since", "code", "town"], [("0499370899", date(2024, 1, 1), 12, "ری")])
    as_texts = columns_of(["person", "since", "code", "town"], [("۰۴۹۹۳۷۰۸۹۹", "2024-01-01", "12", "ری")])

    made = [
        (
            digests.keys(reader.key_texts(rows)).to_list(),
            digests.rows(reader.read(rows, noticed_at=CLOCK).changes).to_list(),
        )
        for rows in (as_numbers, as_texts)
    ]

    assert made[0] == made[1]


def test_the_same_content_has_another_id_when_a_row_says_it_again():
    digests = Digests(ADDRESS, source="post/sync", pseudonymizer=PERSONS)

    ids = {digests.event_id(b"k", b"d", version=version, place=place) for version in (1, 2) for place in (0, 1)}

    assert len(ids) == 4
    assert {one[6] >> 4 for one in ids} == {8}


@pytest.mark.parametrize(
    ("value", "mark", "since"),
    [
        (datetime(2026, 11, 1, 9), datetime(2026, 11, 1, 9), datetime(2026, 11, 1, 8, 50)),  # noqa: DTZ001
        (datetime(9999, 1, 1, tzinfo=UTC), CLOCK, CLOCK - timedelta(minutes=10)),
        (date(2026, 10, 30), date(2026, 10, 30), date(2026, 10, 29)),
        (123_456, 123_456, 122_456),
        ("2026-11-01 09:00:00", "2026-11-01 09:00:00", "2026-11-01 08:50:00"),
        ("9999-01-01T00:00:00", "2026-11-01T12:00:00", "2026-11-01T11:50:00"),
    ],
)
def test_a_mark_is_no_later_than_the_clock_and_the_next_round_begins_before_it(value, mark, since):
    column = ChangeColumn(name="changed", overlap=None, zone=ZoneInfo("UTC"))

    found = column.highest(columns_of(["changed"], [(value,), (None,)]), None, clock=CLOCK)

    assert found == mark
    assert column.since(restored(stored(found))) == since


def test_a_change_column_that_is_no_time_says_so():
    column = ChangeColumn(name="changed", overlap=None, zone=ZoneInfo("UTC"))

    with pytest.raises(MappingError, match="'changed' holds text that is no time"):
        column.highest(columns_of(["changed"], [("1405/08/10",)]), None, clock=CLOCK)


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({"query": "SELECT 1"}, "say either 'table' or 'query'"),
        ({"table": None, "query": "SELECT 1", "row": "fact"}, "which columns of the query tell its rows apart"),
        ({"fields": {"change_kind": "kind"}}, "a sync finds 'change_kind' out by itself"),
        ({"full_every": "soon"}, "'soon' is no length of time"),
        ({"gone": "deleted"}, "'gone'"),
    ],
)
def test_a_mapping_that_is_wrong_names_the_key_at_fault(said, told):
    document = {"record_type": "a.b", "table": "t", "fields": FIELDS, **said}

    with pytest.raises(MappingError, match=told):
        parsed_mapping({name: value for name, value in document.items() if value}, SyncMapping, place="m.yaml")


def test_a_mapping_without_a_record_type_says_what_to_add(tmp_path):
    (tmp_path / "m.yaml").write_text("table: t\n")

    with pytest.raises(MappingError, match="names no record type"):
        read_sync_mapping(tmp_path / "m.yaml")


def test_what_a_missing_row_means_follows_from_what_a_row_is():
    assert mapping().when_gone is Gone.CEASED
    assert mapping(row="fact").when_gone is Gone.ANNULLED
    assert mapping(gone="kept").when_gone is Gone.KEPT
    assert duration("12h") == timedelta(hours=12)
