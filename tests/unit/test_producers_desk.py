from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone
from uuid import UUID

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bus.envelope import ChangeKind
from bus.errors import RefusedError
from bus.reasons import Reason
from bus.subject import Pseudonymizer
from producers.change import Change
from producers.desk import GIVEN, Desk
from producers.handful import Handful
from producers.subjects import HANDFUL, Subjects
from producers.validation import Validator
from registry.contracts import QualityRule, RecordType, Severity

NOW = datetime(2026, 6, 1, tzinfo=UTC)
PERSON = "0499370899"
NULLABLE_DATE = ["null", {"type": "int", "logicalType": "date"}]
FIELDS = {
    "number": "string",
    "use": {"type": "enum", "name": "Use", "symbols": ["home", "shop"]},
    "share": "double",
    "area": "int",
    "value": "long",
    "is_mortgaged": "boolean",
    "issued_on": {"type": "int", "logicalType": "date"},
    "seen_at": {"type": "long", "logicalType": "timestamp-micros"},
    "tags": {"type": "array", "items": "string"},
    "ended_on": NULLABLE_DATE,
    "note": ["null", "string"],
}
DEED = RecordType(
    id="some-agency.deed",
    agency="some-agency",
    title={},
    body={"type": "record", "name": "Deed", "fields": [{"name": n, "type": t} for n, t in FIELDS.items()]},
    record_key_field="number",
    fields=(),
    rules=(),
    freshness=timedelta(days=1),
    heartbeat=timedelta(minutes=1),
)
BODY = {
    "number": "12/3",
    "use": "home",
    "share": 0.5,
    "area": 80,
    "value": 2**40,
    "is_mortgaged": False,
    "issued_on": date(2020, 1, 1),
    "seen_at": NOW,
    "tags": ["یک"],
    "ended_on": None,
    "note": None,
}
CHANGE = Change(
    national_id=PERSON,
    change_kind=ChangeKind.CREATED,
    effective_from=datetime(2020, 1, 1, tzinfo=UTC),
    recorded_at=datetime(2020, 1, 2, tzinfo=UTC),
    record_key="12/3",
    body=BODY,
)
UNDOING = replace(CHANGE, change_kind=ChangeKind.CORRECTED, previous_event_id=UUID(int=7))
PSEUDONYMIZER = Pseudonymizer(bytes(32), "iran")


def subjects():
    return Subjects(PSEUDONYMIZER, record_type=DEED.id)


def with_body(**changes):
    return replace(CHANGE, body={**BODY, **changes})


def refusal_of(change, record_type=DEED):
    try:
        subjects().of(change.national_id)
        Validator(record_type).check(change, now=NOW)
    except RefusedError as exc:
        return exc.reason, exc.field
    return None


def frame_of(changes, record_type=DEED):
    desk = Desk(record_type, subjects())
    rows = []
    for change in changes:
        row = {name: getattr(change, name, None) for name in GIVEN}
        for name in ("previous_event_id", "event_id"):
            row[name] = row[name] and row[name].bytes
        body = change.body or dict.fromkeys(FIELDS)
        rows.append({**row, "has_body": change.body is not None, **{name: body.get(name) for name in FIELDS}})
    types = {**GIVEN, **{name: desk.layout.types[name] for name in FIELDS}}
    return pl.DataFrame(rows, schema=types)


def refusals_in_columns(changes, record_type=DEED):
    checked = Desk(record_type, subjects()).check(frame_of(changes, record_type), now=NOW)
    return {row: (reason, field) for row, field, reason, _ in checked.refused.iter_rows()}, checked.events


REFUSED = {
    "an id whose check digit is wrong": (
        replace(CHANGE, national_id="0499370898"),
        "invalid-national-id",
        "national_id",
    ),
    "an id with a letter": (replace(CHANGE, national_id="04993708AA"), "invalid-national-id", "national_id"),
    "a number for an id": (replace(CHANGE, national_id=499370899), "invalid-national-id", "national_id"),
    "an unknown field": (with_body(colour="red"), "invalid-field", "colour"),
    "a null where none may be": (with_body(area=None), "invalid-field", "area"),
    "a missing field": (
        replace(CHANGE, body={name: value for name, value in BODY.items() if name != "share"}),
        "invalid-field",
        "share",
    ),
    "an unknown symbol": (with_body(use="farm"), "invalid-field", "use"),
    "a number as text": (with_body(area="80"), "invalid-field", "area"),
    "a number too large": (with_body(area=2**31), "invalid-field", "area"),
    "a number far too large": (with_body(value=2**63), "invalid-field", "value"),
    "a truth for a number": (with_body(area=True), "invalid-field", "area"),
    "a number for a truth": (with_body(is_mortgaged=1), "invalid-field", "is_mortgaged"),
    "no number": (with_body(share=float("nan")), "invalid-field", "share"),
    "an infinite number": (with_body(share=float("inf")), "invalid-field", "share"),
    "an instant for a day": (with_body(issued_on=NOW), "invalid-field", "issued_on"),
    "a day for an instant": (with_body(seen_at=date(2020, 1, 1)), "invalid-field", "seen_at"),
    "an instant without a zone": (with_body(seen_at=NOW.replace(tzinfo=None)), "invalid-field", "seen_at"),
    "a text for an array": (with_body(tags="یک"), "invalid-field", "tags"),
    "a null in an array": (with_body(tags=[None]), "invalid-field", "tags"),
    "a NUL in a text": (with_body(note="a\0b"), "nul-character", "note"),
    "a NUL in an array": (with_body(tags=["", "\0"]), "nul-character", "tags"),
    "half a surrogate pair": (with_body(note="\ud800"), "invalid-field", "note"),
    "another key than the body's": (replace(CHANGE, record_key="12/4"), "record-key-mismatch", "record_key"),
    "no key": (replace(CHANGE, record_key=None), "invalid-field", "record_key"),
    "a doubt about no field": (
        replace(CHANGE, under_investigation=("colour",)),
        "invalid-field",
        "under_investigation",
    ),
    "a kind as text": (replace(CHANGE, change_kind="created"), "invalid-field", "change_kind"),
    "a start without a zone": (
        replace(CHANGE, effective_from=datetime(2020, 1, 1)),  # noqa: DTZ001
        "invalid-field",
        "effective_from",
    ),
    "a day for a start": (replace(CHANGE, effective_from=date(2020, 1, 1)), "invalid-field", "effective_from"),
    "a creation that undoes": (
        replace(CHANGE, previous_event_id=UUID(int=7)),
        "unexpected-previous-event",
        "previous_event_id",
    ),
    "a correction of nothing": (
        replace(UNDOING, previous_event_id=None),
        "missing-previous-event",
        "previous_event_id",
    ),
    "a creation of nothing": (replace(CHANGE, body=None), "missing-body", "body"),
    "an annulment that says something": (
        replace(UNDOING, change_kind=ChangeKind.ANNULLED),
        "unexpected-body",
        "body",
    ),
    "a period that ends as it begins": (
        replace(CHANGE, effective_to=CHANGE.effective_from),
        "empty-period",
        "effective_to",
    ),
    "a start before all calendars": (
        replace(CHANGE, effective_from=datetime(999, 12, 31, tzinfo=UTC)),
        "time-out-of-range",
        "effective_from",
    ),
    "an end after all calendars": (
        replace(CHANGE, effective_to=datetime(9999, 12, 31, 1, tzinfo=UTC)),
        "time-out-of-range",
        "effective_to",
    ),
    "a record of the future": (
        replace(CHANGE, recorded_at=NOW + timedelta(days=1, seconds=1)),
        "recorded-in-future",
        "recorded_at",
    ),
    "a fact many years ahead": (
        replace(CHANGE, effective_from=NOW + timedelta(days=3654)),
        "effective-too-far-ahead",
        "effective_from",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_change_that_no_consumer_could_take_is_refused_with_its_field(name):
    change, reason, field = REFUSED[name]

    assert refusal_of(change) == (reason, field)


def test_a_refusal_says_what_to_do_and_never_the_value():
    with pytest.raises(RefusedError) as refused:
        Validator(DEED).check(with_body(note="secret\0"), now=NOW)

    assert "'note'" in str(refused.value)
    assert "'note'" in refused.value.remedy
    assert refused.value.exit_code == 65
    assert "secret" not in str(refused.value)


def test_an_id_is_never_shown_with_a_change():
    assert PERSON not in repr(CHANGE)
    assert "12/3" not in repr(replace(CHANGE, record_key=""))


GOOD = {
    "a creation": CHANGE,
    "a correction": UNDOING,
    "an annulment": replace(UNDOING, change_kind=ChangeKind.ANNULLED, body=None),
    "an end without a body": replace(CHANGE, change_kind=ChangeKind.CEASED, body=None),
    "an end with a body": replace(CHANGE, change_kind=ChangeKind.CEASED),
    "a period": replace(CHANGE, effective_to=datetime(2021, 1, 1, tzinfo=UTC)),
    "another time zone": replace(CHANGE, effective_from=datetime(2020, 1, 1, tzinfo=timezone(timedelta(hours=3.5)))),
    "digits of another script": replace(CHANGE, national_id="۰۴۹۹۳۷۰۸۹۹"),
    "separators": replace(CHANGE, national_id=" 049-937089-9 "),
    "a field that may be absent": replace(CHANGE, body={name: BODY[name] for name in list(FIELDS)[:-2]}),
    "a whole number for a broken one": with_body(share=1),
    "a doubt": replace(CHANGE, under_investigation=("area",)),
}


@pytest.mark.parametrize("name", GOOD)
def test_what_may_be_sent_is_not_refused(name):
    assert refusal_of(GOOD[name]) is None
    assert refusals_in_columns([GOOD[name]])[0] == {}


def instants():
    near = st.integers(-4000, 4000).map(lambda days: NOW + timedelta(days=days))
    return near | st.sampled_from([datetime(999, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 2, tzinfo=UTC), NOW])


@st.composite
def changes(draw):
    """Changes whose values have the types of their columns, with about one mistake each."""
    wrong = {
        "number": st.sampled_from([None, "12/3\0", ""]),
        "use": st.sampled_from([None, "farm", "Home", ""]),
        "share": st.sampled_from([None, float("nan"), float("-inf")]),
        "area": st.none(),
        "value": st.none(),
        "is_mortgaged": st.none(),
        "issued_on": st.none(),
        "seen_at": st.none(),
        "tags": st.sampled_from([None, ["\0"], ["یک", None], []]),
        "note": st.sampled_from(["\0", "", "متن"]),
    }
    body = dict(BODY)
    for name in draw(st.sets(st.sampled_from(sorted(wrong)), max_size=1)):
        body[name] = draw(wrong[name])
    return Change(
        national_id=draw(st.sampled_from([PERSON] * 4 + ["۰۴۹۹۳۷۰۸۹۹", "0499370898", "1111111111", "", "x" * 65])),
        change_kind=draw(st.sampled_from(ChangeKind)),
        effective_from=draw(instants()),
        effective_to=draw(st.none() | instants()),
        recorded_at=draw(instants()),
        record_key=draw(st.sampled_from(["12/3", "12/3", "12/3", "", "\0"])),
        previous_event_id=draw(st.none() | st.uuids()),
        body=draw(st.sampled_from([body, body, None])),
        under_investigation=draw(st.sampled_from([(), ("area", "use"), ("colour",)])),
    )


@given(st.lists(changes(), min_size=1, max_size=8))
@settings(max_examples=200, deadline=None)
def test_the_desk_in_columns_refuses_what_the_desk_for_one_change_refuses(some):
    refused, events = refusals_in_columns(some)

    assert [refused.get(row) for row in range(len(some))] == [refusal_of(change) for change in some]
    assert events["row"].to_list() == [row for row in range(len(some)) if row not in refused]


@given(st.lists(changes(), min_size=1, max_size=8))
@settings(max_examples=100, deadline=None)
def test_a_handful_checked_one_by_one_comes_out_as_in_columns(some):
    desk = Desk(DEED, subjects())
    handful = Handful(desk, Validator(DEED), subjects())
    frame = frame_of(some)

    assert handful.takes(frame)
    one_by_one, columns = handful.check(frame, now=NOW), desk.check(frame, now=NOW)

    assert one_by_one.events.equals(columns.events.select(one_by_one.events.columns))
    assert one_by_one.refused.equals(columns.refused)


@pytest.mark.parametrize("far", [-(2**62), 2**62])
def test_a_time_that_python_has_no_word_for_is_refused_in_columns(far):
    times = pl.Series("effective_to", [far]).cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    frame = frame_of([CHANGE]).with_columns(times)

    assert not Handful(Desk(DEED, subjects()), Validator(DEED), subjects()).takes(frame)


@given(st.lists(changes(), min_size=1, max_size=8))
@settings(max_examples=60, deadline=None)
def test_subjects_in_columns_are_those_of_one_person_at_a_time(some):
    ids = ([change.national_id for change in some] + [None]) * HANDFUL

    found = subjects().of_column(pl.Series(ids, dtype=pl.String))

    one_by_one = []
    alone = subjects()
    for one in ids:
        try:
            one_by_one.append(alone.of(one))
        except RefusedError:
            one_by_one.append(None)
    assert found.subjects.to_list() == one_by_one


@given(st.lists(st.text("0123456789۰۱۲۳٤٥- \u200cA\n", max_size=14), min_size=1, max_size=30))
@settings(max_examples=100, deadline=None)
def test_any_text_is_the_same_person_or_none_in_columns_and_alone(ids):
    found = subjects().of_column(pl.Series(ids * HANDFUL, dtype=pl.String))

    for one, subject in zip(ids, found.subjects.to_list()[: len(ids)], strict=True):
        try:
            assert subjects().of(one) == subject
        except RefusedError:
            assert subject is None


@pytest.mark.parametrize("scheme", ["luhn", "digits"])
def test_other_nations_ids_are_read_in_columns_too(scheme):
    ids = ["79927398713", "79927398714", "x", None] * HANDFUL
    of_scheme = Subjects(Pseudonymizer(bytes(32), scheme), record_type=DEED.id)

    valid = of_scheme.of_column(pl.Series(ids, dtype=pl.String)).is_valid.to_list()

    assert valid == [True, scheme == "digits", False, False] * HANDFUL


def good_frame(**columns):
    return frame_of([CHANGE]).with_columns(**columns)


def test_a_frame_may_leave_out_what_follows_from_the_rest():
    frame = good_frame().drop("has_body", "record_key", "recorded_at", "effective_to", "event_id", "note", "ended_on")

    checked = Desk(DEED, subjects()).check(frame, now=NOW)

    (event,) = checked.events.to_dicts()
    assert event["record_key"] == "12/3"
    assert event["recorded_at"] == NOW
    assert event["has_body"] is True


@pytest.mark.parametrize(
    ("frame", "field"),
    [
        (good_frame(colour=pl.lit("red")), "colour"),
        (good_frame().drop("national_id"), "national_id"),
        (good_frame().drop("effective_from"), "effective_from"),
        (good_frame(national_id=pl.lit(499370899)), "national_id"),
        (good_frame(area=pl.lit("80")), "area"),
        (good_frame(area=pl.lit(80.0)), "area"),
        (good_frame(effective_from=pl.lit(datetime(2020, 1, 1))), "effective_from"),  # noqa: DTZ001
        (good_frame(issued_on=pl.lit(NOW)), "issued_on"),
    ],
    ids=str,
)
def test_a_column_that_is_wrong_as_a_whole_is_refused_by_its_name(frame, field):
    with pytest.raises(RefusedError) as refused:
        Desk(DEED, subjects()).check(frame, now=NOW)

    assert (refused.value.reason, refused.value.field) == (Reason.INVALID_FIELD, field)


def test_a_number_that_has_no_place_in_its_column_is_refused_with_its_row():
    frame = pl.concat([good_frame(area=pl.lit(number, pl.Int64)) for number in (1, 2**31, -(2**31))])

    checked = Desk(DEED, subjects()).check(frame, now=NOW)

    assert checked.refused.select("row", "field", "reason").rows() == [(1, "area", "invalid-field")]
    assert checked.events["area"].to_list() == [1, -(2**31)]


RULES = (
    QualityRule(id="area-positive", field="area", check="area > 0", severity=Severity.REFUSE),
    QualityRule(id="share-at-most-one", field="share", check="share <= 1", severity=Severity.FLAG),
    QualityRule(id="note-of-a-shop", field="note", check="note IS NOT NULL OR use <> 'shop'", severity=Severity.FLAG),
)


def test_a_rule_that_refuses_names_its_field_and_itself():
    ruled = replace(DEED, rules=RULES)

    checked = Desk(ruled, subjects()).check(frame_of([CHANGE, with_body(area=0), CHANGE], ruled), now=NOW)

    assert checked.refused.rows() == [(1, "area", "quality-rule", "area-positive")]
    assert checked.events["row"].to_list() == [0, 2]


def test_a_rule_that_flags_puts_its_field_under_investigation():
    ruled = replace(DEED, rules=RULES)
    doubtful = replace(with_body(share=1.5, use="shop"), under_investigation=("note", "area"))
    ended = replace(CHANGE, change_kind=ChangeKind.CEASED, body=None)
    desk = Desk(ruled, subjects())

    checked = desk.check(frame_of([CHANGE, doubtful, ended], ruled), now=NOW)

    assert checked.events["under_investigation"].to_list() == [[], ["note", "area", "share"], []]
