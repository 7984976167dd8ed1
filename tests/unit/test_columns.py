import io
import json
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import fastavro
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bus.columns import Decoder
from bus.envelope import ChangeKind, Event
from bus.framing import frame
from registry.composition import event_name, event_schema
from registry.contracts import RecordType
from registry.errors import ContractError

SCHEMA_ID = 7
NULLABLE_DATE = ["null", {"type": "int", "logicalType": "date"}]
BODY = {
    "type": "record",
    "name": "Identity",
    "fields": [
        {"name": "given_name", "type": "string"},
        {"name": "sex", "type": {"type": "enum", "name": "Sex", "symbols": ["female", "male"]}},
        {"name": "birth_date", "type": NULLABLE_DATE, "default": None},
        {"name": "children", "type": ["null", "long"], "default": None},
    ],
}


def record_type(body):
    return RecordType(
        id="civil-registry.identity-card",
        agency="civil-registry",
        title={},
        body=body,
        record_key_field=None,
        fields=(),
        rules=(),
        freshness=timedelta(days=1),
        heartbeat=timedelta(minutes=1),
    )


SCHEMA = event_schema(record_type(BODY))
WRITER = fastavro.parse_schema(SCHEMA)
INSTANTS = st.integers(-(2**51), 2**53).map(lambda us: datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=us))
BODIES = st.fixed_dictionaries(
    {
        "given_name": st.text(max_size=9),
        "sex": st.sampled_from(["female", "male"]),
        "birth_date": st.none() | st.dates(date(1900, 1, 1), date(2100, 1, 1)),
        "children": st.none() | st.integers(-(2**63), 2**63 - 1),
    }
)
EVENTS = st.builds(
    Event,
    event_id=st.uuids(),
    source=st.text(max_size=9),
    sequence=st.integers(0, 2**62),
    change_kind=st.sampled_from(ChangeKind),
    previous_event_id=st.none() | st.uuids(),
    subject=st.uuids(),
    record_key=st.text(max_size=9),
    effective_from=INSTANTS,
    effective_to=st.none() | INSTANTS,
    recorded_at=INSTANTS,
    under_investigation=st.lists(st.text(max_size=5), max_size=3).map(tuple),
    body=st.none() | BODIES,
)


@pytest.fixture(scope="module")
def decoder():
    return Decoder(SCHEMA_ID, SCHEMA)


def encoded(event):
    written = io.BytesIO()
    fastavro.schemaless_writer(written, WRITER, event.to_avro())
    return frame(SCHEMA_ID) + written.getvalue()


def read_back(row):
    body = {name: row.pop(name) for name in ("given_name", "sex", "birth_date", "children")}
    kind = list(ChangeKind)[row.pop("change_kind")]
    return Event.from_avro({**row, "change_kind": kind, "body": None if body["sex"] is None else body})


EXAMPLE = Event(
    event_id=UUID(int=1),
    source="civil-registry/outbox-1",
    sequence=1,
    change_kind=ChangeKind.CREATED,
    subject=UUID(int=2),
    effective_from=datetime(2026, 1, 1, tzinfo=UTC),
    recorded_at=datetime(2026, 1, 2, tzinfo=UTC),
    body={"given_name": "زهرا", "sex": "female", "birth_date": None, "children": 2},
)
MALFORMED = {
    "nothing": b"",
    "only a frame": frame(SCHEMA_ID),
    "unknown magic byte": b"\1" + encoded(EXAMPLE)[1:],
    "another schema id": frame(8) + encoded(EXAMPLE)[5:],
    "truncated": encoded(EXAMPLE)[:-3],
    "padded": encoded(EXAMPLE) + b"\0",
    "two events in one value": encoded(EXAMPLE) + encoded(EXAMPLE),
    "a length far beyond the value": frame(SCHEMA_ID) + bytes(16) + b"\xfe\xff\xff\xff\xff\xff\xff\xff\x7f",
    "an unknown symbol": encoded(EXAMPLE).replace("زهرا".encode() + b"\0", "زهرا".encode() + b"\x0c"),
}


@given(st.lists(EVENTS, max_size=8))
@settings(max_examples=60)
def test_what_is_decoded_in_columns_is_what_was_written(decoder, events):
    decoded = decoder.decode([encoded(event) for event in events])

    assert [read_back(row) for row in decoded.frame.to_dicts()] == events
    assert decoded.rows == list(range(len(events)))
    assert decoded.malformed == []


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_value_is_named_and_its_neighbours_stay_whole(decoder, name):
    good = encoded(EXAMPLE)

    decoded = decoder.decode([good, MALFORMED[name], good, good])

    assert decoded.malformed == [1]
    assert decoded.rows == [0, 2, 3]
    assert [read_back(row) for row in decoded.frame.to_dicts()] == [EXAMPLE] * 3


@given(st.lists(st.none() | st.sampled_from(sorted(MALFORMED)), min_size=1, max_size=30))
@settings(max_examples=40)
def test_any_mixture_of_good_and_malformed_values_is_told_apart(decoder, names):
    values = [encoded(EXAMPLE) if name is None else MALFORMED[name] for name in names]

    decoded = decoder.decode(values)

    assert decoded.rows == [row for row, name in enumerate(names) if name is None]
    assert decoded.malformed == [row for row, name in enumerate(names) if name is not None]


@given(st.binary(max_size=80), st.integers(0, 120))
@settings(max_examples=100)
def test_random_bytes_never_change_a_neighbour(decoder, noise, kept):
    broken = encoded(EXAMPLE)[:kept] + noise

    decoded = decoder.decode([encoded(EXAMPLE), broken, encoded(EXAMPLE)])

    rows = [read_back(row) for row in decoded.frame.to_dicts()]
    assert rows[0] == rows[-1] == EXAMPLE
    assert set(decoded.rows) | set(decoded.malformed) == {0, 1, 2}


def test_an_event_is_named_after_its_record_type():
    assert event_name("civil-registry.identity-card") == "civil_registry.IdentityCardEvent"
    assert f"{SCHEMA['namespace']}.{SCHEMA['name']}" == "civil_registry.IdentityCardEvent"


@pytest.mark.parametrize(
    "avro_type",
    [
        ["null", {"type": "enum", "name": "Sex", "symbols": ["female"]}],
        ["null", "string", "long"],
        ["string", "null"],
        {"type": "map", "values": "string"},
        {"type": "bytes", "logicalType": "decimal", "precision": 9},
        {"type": "long", "logicalType": "timestamp-nanos"},
        {"type": "record", "name": "Nested", "fields": []},
        "bytes",
    ],
    ids=json.dumps,
)
def test_a_body_that_cannot_be_read_in_columns_is_refused_with_its_field(avro_type):
    body = {"type": "record", "name": "Odd", "fields": [{"name": "odd_field", "type": avro_type}]}

    with pytest.raises(ContractError, match="'odd_field'"):
        event_schema(record_type(body))


def test_a_body_field_may_not_take_the_name_of_an_envelope_field():
    body = {"type": "record", "name": "Odd", "fields": [{"name": "subject", "type": "string"}]}

    with pytest.raises(ContractError, match="'subject'"):
        event_schema(record_type(body))
