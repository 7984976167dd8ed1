import re
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from registry.catalogue import load_catalogue
from registry.contracts import QualityRule, RecordType, Severity
from registry.quality import Gate, evaluation_fault

DAY = {"type": "int", "logicalType": "date"}
BODY = {
    "type": "record",
    "name": "Life",
    "fields": [
        {"name": "status", "type": {"type": "enum", "name": "Status", "symbols": ["alive", "deceased"]}},
        {"name": "death_date", "type": ["null", DAY], "default": None},
        {"name": "decile", "type": "int"},
        {"name": "postal_code", "type": "string"},
        {"name": "share", "type": ["null", "double"], "default": None},
        {"name": "seen_at", "type": ["null", {"type": "long", "logicalType": "timestamp-micros"}], "default": None},
        {"name": "tags", "type": {"type": "array", "items": "string"}},
        {"name": "is_open", "type": "boolean"},
    ],
}
CHECKS = {
    "decile-in-range": "decile BETWEEN 1 AND 10",
    "deceased-has-a-day": "status <> 'deceased' OR death_date IS NOT NULL",
    "postal-code-ten-digits": "postal_code ~ '^[0-9]{10}$'",
    "day-plausible": "death_date BETWEEN DATE '1900-01-01' AND DATE '2100-12-31'",
    "share-in-range": "share > 0 AND share <= 100",
    "blank": "trim(postal_code) <> ''",
    "open-or-dead": "is_open OR status = 'deceased'",
}
NAN_FREE = st.floats(-10, 200)
ROWS = st.fixed_dictionaries(
    {
        "status": st.sampled_from(["alive", "deceased"]),
        "death_date": st.none() | st.dates(date(1850, 1, 1), date(2150, 1, 1)),
        "decile": st.integers(-3, 14),
        "postal_code": st.text(max_size=3) | st.from_regex(r"\A[0-9]{10}\Z") | st.sampled_from(["۱۲۳۴۵۶۷۸۹۰", " "]),
        "share": st.none() | NAN_FREE,
        "seen_at": st.none()
        | st.datetimes(datetime(1950, 1, 1), datetime(2050, 1, 1)).map(lambda t: t.replace(tzinfo=UTC)),  # noqa: DTZ001
        "tags": st.lists(st.text(max_size=2), max_size=2),
        "is_open": st.booleans(),
    }
)
SCHEMA = {
    "status": pl.String(),
    "death_date": pl.Date(),
    "decile": pl.Int32(),
    "postal_code": pl.String(),
    "share": pl.Float64(),
    "seen_at": pl.Datetime("us", "UTC"),
    "tags": pl.List(pl.String()),
    "is_open": pl.Boolean(),
}


def record_type(checks, body=BODY):
    return RecordType(
        id="register.life",
        agency="register",
        title={},
        body=body,
        record_key_field=None,
        fields=(),
        rules=tuple(
            QualityRule(id=name, field=body["fields"][0]["name"], check=check, severity=Severity.FLAG)
            for name, check in checks.items()
        ),
        freshness=timedelta(days=1),
        heartbeat=timedelta(minutes=1),
    )


# What a trim in columns takes away: Unicode's White_Space, not the space alone.
WHITE_SPACE = "\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200B)))


def kept_in_plain_python(row):
    """The rules of CHECKS once more, with SQL's three-valued logic written out."""
    day, share = row["death_date"], row["share"]
    return {
        "decile-in-range": 1 <= row["decile"] <= 10,
        "deceased-has-a-day": row["status"] != "deceased" or day is not None,
        "postal-code-ten-digits": re.fullmatch("[0-9]{10}", row["postal_code"]) is not None,
        "day-plausible": day is None or date(1900, 1, 1) <= day <= date(2100, 12, 31),
        "share-in-range": share is None or 0 < share <= 100,
        "blank": row["postal_code"].strip(WHITE_SPACE) != "",
        "open-or-dead": row["is_open"] or row["status"] == "deceased",
    }


@settings(deadline=None)
@given(rows=st.lists(ROWS, max_size=8))
def test_columns_break_the_rules_that_their_rows_break_one_by_one(rows):
    gate = Gate(record_type(CHECKS))
    frame = pl.DataFrame(rows, schema=SCHEMA)

    broken = gate.broken(frame)

    assert broken.columns == list(CHECKS)
    assert broken.height == len(rows)
    assert broken.rows() == [gate.broken(frame.slice(place, 1)).row(0) for place in range(len(rows))]
    assert broken.to_dicts() == [{name: not kept for name, kept in kept_in_plain_python(row).items()} for row in rows]


def test_a_rule_across_registers_is_not_for_the_gate():
    across = QualityRule(id="known", field="share", check="", severity=Severity.FLAG, known_in="agency.register")
    contract = replace(record_type({"share-positive": "share > 0"}), rules=(across,))

    gate = Gate(contract)

    assert gate.broken(pl.DataFrame({"share": [0.0]})).width == 0
    assert contract.rules_across == (across,)


def test_a_rule_whose_answer_is_null_counts_as_kept():
    gate = Gate(record_type({"share-positive": "share > 0"}))

    broken = gate.broken(pl.DataFrame({"share": [None, -1.0, 1.0]}))

    assert broken["share-positive"].to_list() == [False, True, False]


def test_an_event_without_a_body_breaks_no_rule():
    gate = Gate(record_type({"deceased-has-a-day": "coalesce(status, 'deceased') <> 'deceased'"}))
    frame = pl.DataFrame(
        {"status": [None, "deceased"], "has_body": [False, True]}, schema_overrides={"status": pl.String}
    )

    assert gate.broken(frame)["deceased-has-a-day"].to_list() == [False, True]


def test_a_field_that_an_older_event_lacks_counts_as_null():
    gate = Gate(record_type({"share-told": "share IS NOT NULL", "decile": "decile > 0"}))

    broken = gate.broken(pl.DataFrame({"decile": [0, 1]}, schema={"decile": pl.Int32}))

    assert broken.to_dict(as_series=False) == {"share-told": [True, True], "decile": [True, False]}


def test_a_record_type_without_rules_gives_no_columns():
    assert Gate(record_type({})).broken(pl.DataFrame({"decile": [1]})).width == 0


def test_rules_are_known_by_id():
    assert Gate(record_type(CHECKS)).rules["blank"].severity is Severity.FLAG


@pytest.mark.parametrize(
    ("check", "fault"),
    [
        ("decile > 'a'", "cannot compare string"),
        ("decile + 1", "not true or false"),
        ("sum(decile) > 1", "one result for each row"),
        ("strange(decile)", "unsupported function"),
        ("(decile, decile) = (1, 1)", "not"),
        ("decil > 1", "unable to find column"),
        ("decile >", "unable to parse"),
    ],
)
def test_a_rule_that_columns_cannot_evaluate_is_found_before_any_event(check, fault):
    assert fault in evaluation_fault(BODY, check)


@pytest.mark.parametrize(
    "check", [*CHECKS.values(), "seen_at IS NULL", "length(postal_code) = 10", "array_length(tags) > 0"]
)
def test_a_rule_that_columns_can_evaluate_has_no_fault(check):
    assert evaluation_fault(BODY, check) is None


def bodies(body):
    """Bodies with values of the right types, most of which break some rule."""

    def values(avro_type):
        match avro_type:
            case ["null", inner]:
                return st.none() | values(inner)
            case {"type": "enum", "symbols": symbols}:
                return st.sampled_from(symbols)
            case {"logicalType": "date"}:
                return st.dates(date(1850, 1, 1), date(2150, 1, 1))
            case "string":
                return st.text(max_size=4) | st.sampled_from(["1234567890", "12", "1234", "", "other", "Sara"])
            case "double":
                return st.floats(-200, 200)
        return st.integers(-5, 2000)

    return st.fixed_dictionaries({field["name"]: values(field["type"]) for field in body["fields"]})


@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_the_rules_of_the_shipped_profile_tell_the_same_of_many_rows_as_of_each(shipped_gates, data):
    kind, gate = data.draw(st.sampled_from(shipped_gates))
    rows = data.draw(st.lists(bodies(kind.body), min_size=1, max_size=5))
    frame = pl.DataFrame(rows, schema={field["name"]: dtype(field["type"]) for field in kind.body["fields"]})

    broken = gate.broken(frame)

    assert broken.rows() == [gate.broken(frame.slice(place, 1)).row(0) for place in range(len(rows))]


def dtype(avro_type):
    match avro_type:
        case ["null", inner]:
            return dtype(inner)
        case {"logicalType": "date"}:
            return pl.Date()
        case "int" | "long" | "double":
            return {"int": pl.Int32(), "long": pl.Int64(), "double": pl.Float64()}[avro_type]
    return pl.String()


@pytest.fixture(scope="module")
def shipped_gates():
    return [(kind, Gate(kind)) for kind in load_catalogue(None).record_types.values()]
