from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import polars as pl
import pytest

from producers.columns import Layout
from producers.content_ids import ContentIds
from registry.contracts import RecordType

SYMBOLS = {"type": "enum", "name": "Use", "symbols": ["home", "shop"]}
FIELDS = [
    {"name": "number", "type": "string"},
    {"name": "use", "type": SYMBOLS},
    {"name": "note", "type": ["null", "string"], "default": None},
]
DEED = RecordType(
    id="some-agency.deed",
    agency="some-agency",
    title={},
    body={"type": "record", "name": "Deed", "fields": FIELDS},
    record_key_field=None,
    fields=(),
    rules=(),
    freshness=timedelta(days=1),
    heartbeat=timedelta(minutes=1),
)


def row(**changes):
    return {
        "event_id": None,
        "change_kind": 0,
        "previous_event_id": None,
        "subject": bytes(16),
        "record_key": "",
        "effective_from": datetime(2026, 1, 1, tzinfo=UTC),
        "effective_to": None,
        "recorded_at": datetime(2026, 1, 2, tzinfo=UTC),
        "under_investigation": [],
        "has_body": True,
        "number": "1",
        "use": "home",
        "note": None,
        **changes,
    }


def ids(*rows, record_type=DEED, source="some-agency/file", has_recorded_at=True):
    layout = Layout(record_type)
    events = pl.DataFrame(
        [{**dict.fromkeys(layout.types), **one} for one in rows], schema=layout.types, infer_schema_length=None
    )
    return ContentIds(record_type, source=source).of(events, has_recorded_at=has_recorded_at)


OTHERS = {
    "person": row(subject=bytes(15) + b"1"),
    "kind": row(change_kind=1),
    "period": row(effective_to=datetime(2027, 1, 1, tzinfo=UTC)),
    "text": row(number="2"),
    "symbol": row(use="shop"),
    "a null that became empty": row(note=""),
    "what was recorded when": row(recorded_at=datetime(2026, 1, 3, tzinfo=UTC)),
}


@pytest.mark.parametrize("name", OTHERS)
def test_another_content_has_another_id_and_the_same_the_same(name):
    first, again, other = ids(row(), row(), OTHERS[name])

    assert first == again
    assert other != first


def test_another_source_has_other_ids():
    assert ids(row()) != ids(row(), source="some-agency/other")


def test_the_time_and_the_doubts_of_the_reading_are_no_part_of_an_id():
    later = row(recorded_at=datetime(2026, 5, 5, tzinfo=UTC), under_investigation=["note"])

    first, again = ids(row(), later, has_recorded_at=False)

    assert first == again


def test_a_contract_that_gains_fields_and_symbols_keeps_the_ids():
    grown = [
        {"name": "added", "type": ["null", "string"], "default": None},
        FIELDS[0],
        {"name": "use", "type": {**SYMBOLS, "symbols": ["field", "home", "shop"]}},
        FIELDS[2],
    ]
    later = replace(DEED, body={**DEED.body, "fields": grown})

    assert ids(row(note="x"), record_type=later) == ids(row(note="x"))


def test_ids_say_that_they_are_hashes():
    made = [UUID(bytes=one) for one in ids(*[row(number=str(number)) for number in range(60)])]

    assert {(one.version, one.variant) for one in made} == {(8, "specified in RFC 4122")}
    assert len(set(made)) == 60
