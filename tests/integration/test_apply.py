from collections import defaultdict
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from uuid import UUID

import polars as pl
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bus.envelope import ChangeKind
from consumers.fold import Fact, fold, voided_by
from consumers.materializer.apply import apply, encode
from consumers.views import create_views
from registry.contracts import RecordType

START = datetime(2026, 1, 1, tzinfo=UTC)
KINDS = list(ChangeKind)
HOLDING = RecordType(
    id="some-agency.holding",
    agency="some-agency",
    title={},
    body={
        "type": "record",
        "name": "Holding",
        "fields": [
            {"name": "word", "type": "string"},
            {"name": "tags", "type": {"type": "array", "items": "string"}},
            {"name": "born", "type": ["null", {"type": "int", "logicalType": "date"}], "default": None},
            {"name": "share", "type": ["null", "double"], "default": None},
        ],
    },
    record_key_field=None,
    fields=(),
    rules=(),
    freshness=timedelta(days=1),
    heartbeat=timedelta(minutes=1),
)
FIXED = {"subject": pl.Binary, "event_id": pl.Binary, "previous_event_id": pl.Binary}
INSTANTS = dict.fromkeys(("effective_from", "effective_to", "recorded_at", "known_at"), pl.Datetime("us", "UTC"))
BODY = {"word": pl.String, "tags": pl.List(pl.String), "born": pl.Date, "share": pl.Float64}


@pytest.fixture
def connection(database_url):
    with psycopg.connect(database_url, autocommit=True) as opened:
        create_views(opened, HOLDING)
        yield opened


@st.composite
def logs(draw):
    """Events of three records of two persons, in log order: chains, repeats, reused ids, dangling references."""
    log = []
    for position in range(draw(st.integers(1, 25))):
        record = draw(st.integers(0, 2))
        if log and draw(st.integers(0, 5)) == 0:
            record, again = draw(st.sampled_from(log))
            word = again.body["word"] if draw(st.booleans()) else "دیگر"
            number, kind, previous, starts = (
                again.event_id,
                again.change_kind,
                again.previous_event_id,
                again.effective_from,
            )
        else:
            number = UUID(int=record * 1000 + position + 1)
            kind = draw(st.sampled_from(KINDS))
            targets = st.integers(0, position + 1).map(lambda back, record=record: UUID(int=record * 1000 + back + 1))
            previous = draw(targets) if kind in (ChangeKind.CORRECTED, ChangeKind.ANNULLED) else None
            starts, word = START + timedelta(days=draw(st.integers(0, 4))), "واژه"
        fact = Fact(
            event_id=number,
            change_kind=kind,
            previous_event_id=previous,
            effective_from=starts,
            body={"word": word},
            known_at=START + timedelta(seconds=position),
            position=position,
        )
        log.append((record, fact))
    return log


def subject_of(record):
    return UUID(int=500 + record // 2)  # records 0 and 1 are one person's


def frame_of(part):
    rows = [
        {
            "subject": subject_of(record).bytes,
            "record_key": str(record),
            "event_id": fact.event_id.bytes,
            "change_kind": KINDS.index(fact.change_kind),
            "previous_event_id": fact.previous_event_id and fact.previous_event_id.bytes,
            "effective_from": fact.effective_from,
            "effective_to": None,
            "recorded_at": START,
            "known_at": fact.known_at,
            "partition": 0,
            "position": fact.position,
            "under_investigation": [],
            "word": fact.body["word"],
            "tags": ["یک", "", 'a"b\\'],
            "born": START.date(),
            "share": None,
        }
        for record, fact in part
    ]
    kinds = {"under_investigation": pl.List(pl.String), **FIXED, **INSTANTS, **BODY}
    return pl.DataFrame(rows, schema_overrides=kinds)


def apply_in_parts(connection, log, cuts, suspected):
    refused, applied, duplicates = {}, 0, 0
    edges = sorted({0, len(log), *cuts})
    for start, end in pairwise(edges):
        if start < end <= len(log):
            with connection.transaction():
                events = frame_of(log[start:end]).with_columns(is_suspect=pl.col("position").is_in(list(suspected)))
                done = apply(connection, HOLDING, encode(HOLDING, events))
            refused.update(done.refused)
            applied += done.applied
            duplicates += len(done.duplicates)
    return refused, applied, duplicates


@given(logs(), st.sets(st.integers(1, 24), max_size=4), st.sets(st.integers(0, 24)))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_however_a_log_is_cut_and_whatever_is_suspected_the_view_is_its_fold(connection, log, cuts, suspected):
    connection.execute(f'TRUNCATE "{HOLDING.id}".facts')

    refused, applied, duplicates = apply_in_parts(connection, log, cuts, suspected)

    by_record = defaultdict(list)
    for record, fact in log:
        by_record[record].append(fact)
    folded = {record: fold(facts) for record, facts in by_record.items()}
    expected = {
        (subject_of(record), fact.event_id): (fact.position, voided_by(one.facts).get(fact.event_id), fact.body["word"])
        for record, one in folded.items()
        for fact in one.facts
    }
    rows = connection.execute(f'SELECT subject, event_id, position, voided_by, word FROM "{HOLDING.id}".facts')
    assert {(row[0], row[1]): row[2:] for row in rows} == expected
    assert applied == len(expected)
    assert duplicates == sum(one.duplicates for one in folded.values())
    assert {position: str(reason) for (_, position), reason in refused.items()} == {
        fact.position: str(reason) for one in folded.values() for fact, reason in one.refused
    }


def test_every_column_type_arrives_as_it_was(connection):
    fact = Fact(
        event_id=UUID(int=1),
        change_kind=ChangeKind.CREATED,
        effective_from=START,
        body={"word": "نام\u200cخانوادگی"},
        known_at=START + timedelta(microseconds=1),
        position=2**40,
    )

    with connection.transaction():
        apply(connection, HOLDING, encode(HOLDING, frame_of([(0, fact)])))

    row = connection.execute(f'SELECT * FROM "{HOLDING.id}".facts').fetchone()
    start = (subject_of(0), "0", fact.event_id, 0, None, START, None, START, fact.known_at, 0, 2**40, None, [])
    assert row == (*start, "نام\u200cخانوادگی", ["یک", "", 'a"b\\'], START.date(), None)
