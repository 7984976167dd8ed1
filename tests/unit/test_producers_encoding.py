import io
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import fastavro
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bus.columns import Decoder
from bus.envelope import ChangeKind, Event
from bus.framing import frame
from producers.encoding import HANDFUL, Encoder
from registry.composition import event_schema
from registry.contracts import RecordType

SCHEMA_ID = 7
SOURCE = "some-agency/منبع-1"
FIELDS = {
    "word": "string",
    "sex": {"type": "enum", "name": "Sex", "symbols": ["female", "male"]},
    "born": ["null", {"type": "int", "logicalType": "date"}],
    "count": "long",
    "small": ["null", "int"],
    "share": "double",
    "half": ["null", "double"],
    "is_real": "boolean",
    "is_known": ["null", "boolean"],
    "seen": {"type": "long", "logicalType": "timestamp-micros"},
    "tags": {"type": "array", "items": "string"},
    "more_tags": ["null", {"type": "array", "items": "string"}],
    "note": ["null", "string"],
}
BODY = {"type": "record", "name": "Thing", "fields": [{"name": n, "type": t} for n, t in FIELDS.items()]}
THING = RecordType(
    id="some-agency.thing",
    agency="some-agency",
    title={},
    body=BODY,
    record_key_field=None,
    fields=(),
    rules=(),
    freshness=timedelta(days=1),
    heartbeat=timedelta(minutes=1),
)
SCHEMA = event_schema(THING)
WRITER = fastavro.parse_schema(SCHEMA)
FIRST, LAST = (int(datetime(year, 1, 1, tzinfo=UTC).timestamp()) * 10**6 for year in (1000, 9999))
INSTANTS = st.integers(FIRST, LAST).map(lambda us: datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=us))
LONGS = st.integers(-(2**63), 2**63 - 1)
TEXTS = st.text(max_size=9) | st.text("ا", min_size=3000, max_size=3100)
DOUBLES = st.floats(allow_nan=False, allow_infinity=False)
BODIES = st.fixed_dictionaries(
    {
        "word": TEXTS,
        "sex": st.sampled_from(["female", "male"]),
        "born": st.none() | st.dates(date(1, 1, 1)),
        "count": LONGS,
        "small": st.none() | st.integers(-(2**31), 2**31 - 1),
        "share": DOUBLES,
        "half": st.none() | DOUBLES,
        "is_real": st.booleans(),
        "is_known": st.none() | st.booleans(),
        "seen": INSTANTS,
        "tags": st.lists(st.text(max_size=5), max_size=3),
        "more_tags": st.none() | st.lists(st.text(max_size=5), max_size=3),
        "note": st.none() | st.text(max_size=9),
    }
)
EVENTS = st.builds(
    Event,
    event_id=st.uuids(),
    source=st.just(SOURCE),
    sequence=st.just(1),
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


@pytest.fixture(scope="module")
def encoder():
    return Encoder(SCHEMA_ID, SCHEMA, source=SOURCE)


def in_columns(decoder, events):
    rows = []
    for event in events:
        row = event.to_avro()
        body = row.pop("body")
        row["change_kind"] = list(ChangeKind).index(event.change_kind)
        rows.append({**row, "has_body": body is not None, **(body or dict.fromkeys(FIELDS))})
    return pl.DataFrame(rows, schema=decoder.columns)


def written(event, sequence):
    stream = io.BytesIO()
    record = {**event.to_avro(), "sequence": sequence}
    fastavro.schemaless_writer(stream, WRITER, record)
    return frame(SCHEMA_ID) + stream.getvalue()


@pytest.mark.parametrize("copies", [1, HANDFUL + 1], ids=["a handful", "many"])
@given(some=st.lists(EVENTS, min_size=1, max_size=6), first=st.sampled_from([1, 60, 8190, 2**27 - 2, 2**40]))
@settings(max_examples=100, deadline=None)
def test_what_is_encoded_is_byte_for_byte_what_another_library_writes(decoder, encoder, copies, some, first):
    events = some * copies
    columns = in_columns(decoder, events)

    values = encoder.values([event.event_id.bytes for event in events], first, encoder.contents(columns))

    assert values == [written(event, first + place) for place, event in enumerate(events)]


def example():
    return Event(
        event_id=UUID(int=1),
        source=SOURCE,
        sequence=1,
        change_kind=ChangeKind.CREATED,
        subject=UUID(int=2),
        effective_from=datetime(2026, 1, 1, tzinfo=UTC),
        recorded_at=datetime(2026, 1, 2, tzinfo=UTC),
        body={
            "word": "واژه",
            "sex": "male",
            "born": None,
            "count": 1,
            "small": None,
            "share": 0.5,
            "half": None,
            "is_real": True,
            "is_known": None,
            "seen": datetime(2026, 1, 1, tzinfo=UTC),
            "tags": [],
            "more_tags": None,
            "note": None,
        },
    )


def test_a_null_where_none_may_be_never_becomes_bytes(decoder, encoder):
    columns = in_columns(decoder, [example()] * (HANDFUL + 1)).with_columns(word=pl.lit(None, pl.String))

    with pytest.raises(AssertionError, match="'word'"):
        encoder.contents(columns)
