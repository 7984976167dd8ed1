from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from producers.errors import MappingError
from producers.mapper import Mapper
from producers.mapping import FieldMapping, parsed_mapping, read_mapping
from registry.contracts import RecordType

DEED = RecordType(
    id="some-agency.deed",
    agency="some-agency",
    title={},
    body={
        "type": "record",
        "name": "Deed",
        "fields": [
            {"name": "number", "type": "string"},
            {"name": "use", "type": {"type": "enum", "name": "Use", "symbols": ["home", "shop"]}},
            {"name": "area", "type": ["null", "int"], "default": None},
        ],
    },
    record_key_field="number",
    fields=(),
    rules=(),
    freshness=timedelta(days=1),
    heartbeat=timedelta(minutes=1),
)
NAMED_ALIKE = pl.DataFrame(
    {
        "national_id": ["0499370899"],
        "change_kind": ["created"],
        "effective_from": ["2024-01-01"],
        "number": ["1"],
        "use": ["home"],
    }
)


def mapped(frame, **said):
    return Mapper(DEED, FieldMapping.model_validate(said)).map(frame)


def test_without_a_mapping_a_column_says_the_field_of_its_name():
    changes = mapped(NAMED_ALIKE).changes

    assert changes.to_dicts() == [
        {
            "national_id": "0499370899",
            "change_kind": "created",
            "effective_from": datetime(2024, 1, 1, tzinfo=UTC),
            "number": "1",
            "use": "home",
        }
    ]


def test_a_mapping_names_columns_constants_and_codes():
    legacy = pl.DataFrame(
        {"NATCODE": [499370899], "STARTED": ["1403/01/01"], "NO": ["7"], "USAGE": ["2"], "SIZE": ["۸۰"], "MEMO": ["x"]}
    )

    changes = mapped(
        legacy,
        time_zone="Asia/Tehran",
        fields={
            "national_id": {"column": "NATCODE", "width": 10},
            "change_kind": {"constant": "created"},
            "effective_from": {"column": "STARTED", "calendar": "jalali"},
            "number": "NO",
            "use": {"column": "USAGE", "values": {1: "home", 2: "shop"}},
            "area": "SIZE",
        },
        ignore=["MEMO"],
    ).changes

    assert changes.row(0, named=True) == {
        "national_id": "0499370899",
        "change_kind": "created",
        "effective_from": datetime(2024, 3, 19, 20, 30, tzinfo=UTC),
        "number": "7",
        "use": "shop",
        "area": 80,
    }


def test_a_value_that_does_not_read_refuses_its_row_alone():
    frame = pl.concat([NAMED_ALIKE.with_columns(area=pl.lit(area)) for area in ("1", "large", None, "3")])

    result = mapped(frame)

    assert result.refused.rows() == [(1, "area", "invalid-field", "")]
    assert result.rows.to_list() == [0, 2, 3]
    assert result.changes["area"].to_list() == [1, None, 3]


def test_a_row_with_two_faults_is_told_once():
    frame = NAMED_ALIKE.with_columns(area=pl.lit("large"), effective_from=pl.lit("soon"))

    assert mapped(frame).refused.height == 1


def test_ids_that_a_sheet_holds_as_numbers_get_their_zeros_back_where_all_ids_have_one_length():
    frame = NAMED_ALIKE.with_columns(national_id=pl.lit(499370899))

    result = Mapper(DEED, FieldMapping(), scheme="iran").map(frame)

    assert (result.changes["national_id"].to_list(), result.restored) == (["0499370899"], 1)


@pytest.mark.parametrize("scheme", [None, "luhn"])
def test_numbers_are_no_text_where_nobody_says_how_many_digits_there_are(scheme):
    mapper = Mapper(DEED, FieldMapping(), scheme=scheme)

    with pytest.raises(MappingError, match=r"'national_id' holds numbers.*width: N"):
        mapper.map(NAMED_ALIKE.with_columns(national_id=pl.lit(499370899)))
    with pytest.raises(MappingError, match=r"'number' holds numbers"):
        mapper.map(NAMED_ALIKE.with_columns(number=pl.lit(7)))


def test_a_text_that_lacks_its_zeros_is_told_and_not_mended():
    frame = NAMED_ALIKE.with_columns(national_id=pl.Series(["499370899"]))
    mapper = Mapper(DEED, FieldMapping(), scheme="iran")

    assert mapper.map(frame).changes["national_id"].to_list() == ["499370899"]
    assert mapper.lacks_zeros(frame, 0)
    assert not mapper.lacks_zeros(NAMED_ALIKE, 0)


@pytest.mark.parametrize(
    ("frame", "said", "told"),
    [
        (NAMED_ALIKE.with_columns(extra=pl.lit("x")), {}, "column 'extra' is no field"),
        (NAMED_ALIKE.drop("number"), {}, "no column says 'number'"),
        (NAMED_ALIKE.drop("national_id"), {}, "no column says 'national_id'"),
        (NAMED_ALIKE, {"fields": {"area": "SIZE"}}, "the column 'SIZE', which is not there"),
        (NAMED_ALIKE, {"fields": {"colour": "use"}}, "'colour', which is no field"),
        (NAMED_ALIKE, {"record_type": "some-agency.other"}, "for the record type 'some-agency.other'"),
    ],
)
def test_a_mapping_that_does_not_fit_is_told_as_a_whole(frame, said, told):
    with pytest.raises(MappingError, match=told):
        mapped(frame, **said)


def test_columns_that_nobody_names_may_be_ignored_together():
    changes = mapped(NAMED_ALIKE.with_columns(extra=pl.lit("x")), ignore_others=True).changes

    assert "extra" not in changes.columns


@pytest.mark.parametrize(
    ("document", "key"),
    [
        ({"fields": {"number": {"column": "NO", "constant": "1"}}}, "fields.number"),
        ({"fields": {"number": {"columm": "NO"}}}, "fields.number.columm"),
        ({"fields": {"born": {"column": "X", "calendar": "mayan"}}}, "fields.born.calendar"),
        ({"fields": {"born": {"column": "X", "calendar": "jalali", "format": "%Y"}}}, "fields.born"),
        ({"time_zone": "Asia/Atlantis"}, "no time zone 'Asia/Atlantis'"),
        ({"feilds": {}}, "feilds"),
        ([], "the document"),
    ],
)
def test_a_mapping_that_says_what_it_may_not_is_told_by_its_key(document, key):
    with pytest.raises(MappingError, match=key):
        parsed_mapping(document, FieldMapping, place="a.yaml")


def test_a_mapping_is_read_from_a_file(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text("fields:\n  number: NO\n  area: {constant: 80}\n", encoding="utf-8-sig")

    mapping = read_mapping(path)

    assert mapping.fields["number"].column == "NO"
    assert mapping.fields["area"].constant == "80"


@pytest.mark.parametrize("content", [b"fields: [", b"\xff\xfe\x00"])
def test_a_file_that_is_no_mapping_is_told(tmp_path, content):
    path = tmp_path / "a.yaml"
    path.write_bytes(content)

    with pytest.raises(MappingError, match=r"a\.yaml"):
        read_mapping(path)
