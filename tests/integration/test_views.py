from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import sql

from bus.envelope import ChangeKind
from consumers.fold import Fact, fold, holding, timeline, voided_by
from consumers.views import create_views, holding_sql
from registry.contracts import RecordType

START = datetime(2026, 1, 1, tzinfo=UTC)
SUBJECT = UUID(int=7)
KINDS = list(ChangeKind)
BODY = {"type": "record", "name": "Holding", "fields": [{"name": "word", "type": "string"}]}
LATER_BODY = {**BODY, "fields": [*BODY["fields"], {"name": "count", "type": ["null", "long"], "default": None}]}
HOLDING = RecordType(
    id="some-agency.holding",
    agency="some-agency",
    title={},
    body=BODY,
    record_key_field=None,
    fields=(),
    rules=(),
    freshness=timedelta(days=1),
    heartbeat=timedelta(minutes=1),
)


@pytest.fixture
def connection(database_url):
    with psycopg.connect(database_url, autocommit=True) as opened:
        yield opened


def day(number):
    return START + timedelta(days=number)


def write(connection, facts):
    undone = voided_by(facts)
    rows = [
        [
            *(SUBJECT, "", fact.event_id, KINDS.index(fact.change_kind), fact.previous_event_id),
            *(fact.effective_from, fact.effective_to, fact.known_at, fact.known_at, 0, fact.position),
            *(undone.get(fact.event_id), [], "واژه"),
        ]
        for fact in facts
    ]
    with connection.cursor() as cursor:
        cursor.execute(f'TRUNCATE "{HOLDING.id}".facts')
        marks = ", ".join(["%s"] * 14)
        cursor.executemany(f'INSERT INTO "{HOLDING.id}".facts VALUES ({marks})', rows)


@st.composite
def logs(draw):
    log = []
    for number in range(1, draw(st.integers(1, 12))):
        kind = draw(st.sampled_from(KINDS)) if number > 1 else ChangeKind.CREATED
        undoes = draw(st.integers(1, number - 1)) if kind in (ChangeKind.CORRECTED, ChangeKind.ANNULLED) else None
        starts = draw(st.integers(0, 4))
        ends = draw(st.none() | st.integers(starts + 1, 5))
        log.append(
            Fact(
                event_id=UUID(int=number),
                change_kind=kind,
                effective_from=day(starts),
                effective_to=None if ends is None else day(ends),
                previous_event_id=None if undoes is None else UUID(int=undoes),
                known_at=START + timedelta(seconds=number),
                position=number,
            )
        )
    return log


def asked(connection, **parameters):
    query = holding_sql(HOLDING, as_known="known_at" in parameters)
    rows = connection.execute(query, {"subjects": [SUBJECT], **parameters}).fetchall()
    return [row[5] for row in rows]


@given(logs())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_timeline_and_both_questions_equal_the_fold(connection, log):
    create_views(connection, HOLDING)
    facts = fold(log).facts
    write(connection, facts)

    seen = connection.execute(
        f'SELECT effective_from, effective_to, event_id, ceased FROM "{HOLDING.id}".timeline ORDER BY effective_from'
    ).fetchall()

    periods = timeline(facts)
    assert seen == [(p.effective_from, p.effective_to, p.fact.event_id, p.is_ceased) for p in periods]
    for number in range(6):
        held = holding(periods, day(number))
        assert asked(connection, at=day(number)) == ([held.event_id] if held else [])
        for fact in facts:
            held = holding(timeline(facts, known_at=fact.known_at), day(number))
            answer = asked(connection, at=day(number), known_at=fact.known_at)
            assert answer == ([held.event_id] if held else [])


def test_a_field_that_a_contract_gains_is_added_beside_the_rows_that_are_there(connection):
    create_views(connection, HOLDING)
    fact = Fact(
        event_id=UUID(int=1), change_kind=ChangeKind.CREATED, effective_from=day(0), known_at=day(0), position=0
    )
    write(connection, [fact])

    create_views(connection, replace(HOLDING, body=LATER_BODY))

    rows = connection.execute(sql.SQL("SELECT word, count FROM {}.timeline").format(sql.Identifier(HOLDING.id)))
    assert rows.fetchall() == [("واژه", None)]


def test_a_replay_is_made_beside_the_live_view(connection):
    create_views(connection, HOLDING)
    create_views(connection, HOLDING, schema="replay_x:some-agency.holding")

    found = connection.execute("SELECT schemaname FROM pg_tables WHERE tablename = 'facts' ORDER BY 1").fetchall()

    assert found == [("replay_x:some-agency.holding",), ("some-agency.holding",)]
