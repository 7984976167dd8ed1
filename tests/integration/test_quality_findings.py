from dataclasses import replace
from uuid import UUID, uuid4

import psycopg
import pytest
from raw_bus import RawBus

from bus.envelope import ChangeKind
from consumers.audit.diff import diff
from consumers.audit.log import Log
from consumers.errors import NotFoundError
from consumers.materializer.check import Checker
from consumers.quality import findings_by_rule, list_findings
from registry.contracts import QualityRule, Severity

RULES = (
    QualityRule(id="count-positive", field="count", check="count > 0", severity=Severity.REFUSE),
    QualityRule(id="count-plausible", field="count", check="count < 100", severity=Severity.FLAG),
    QualityRule(id="word-short", field="word", check="length(word) < 10", severity=Severity.FLAG),
)
GOOD = {"word": "واژه", "count": 5}
BAD = {"word": "واژه", "count": 500}


@pytest.fixture
def bus(stack, database_url):
    made = RawBus(stack.endpoints.kafka_bootstrap, database_url)
    made.record_type = replace(made.record_type, rules=RULES)
    return made


def found(bus, **which):
    with psycopg.connect(bus.database_url) as connection:
        return list_findings(connection, **which)


def test_each_rule_that_flags_an_applied_event_is_a_finding_where_the_log_has_it(bus):
    doubtful = bus.event(uuid4(), body={"word": "بسیار بسیار بلند", "count": 500})
    bus.send(bus.event(uuid4(), body=GOOD), doubtful, bus.event(uuid4(), body={**BAD, "count": 0}))

    tally = bus.catch_up()

    findings = found(bus)
    assert {(one.rule, one.field, one.event_id) for one in findings} == {
        ("count-plausible", "count", doubtful.event_id),
        ("word-short", "word", doubtful.event_id),
    }
    places = bus.rows("event_id, partition, position, known_at")
    assert {(one.event_id, one.partition, one.position, one.known_at) for one in findings} <= set(places)
    assert {(one.agency, one.record_type) for one in findings} == {(bus.record_type.agency, bus.record_type.id)}
    assert tally.findings == 2


def test_a_doubtful_event_that_comes_again_or_is_quarantined_is_no_second_finding(bus):
    first = bus.event(uuid4(), body=BAD)
    reused = replace(first, sequence=2, body={**BAD, "count": 700})
    dangling = bus.event(uuid4(), body=BAD, change_kind=ChangeKind.CORRECTED, previous_event_id=uuid4())
    bus.send(first, first, reused, dangling)

    bus.catch_up()

    assert [one.event_id for one in found(bus)] == [first.event_id]


def test_what_a_rebuild_finds_again_is_there_already(bus):
    bus.send(*(bus.event(uuid4(), body=BAD) for _ in range(20)))
    bus.catch_up()
    before = found(bus)
    with psycopg.connect(bus.database_url, autocommit=True) as connection:
        connection.execute(f'TRUNCATE "{bus.record_type.id}".facts')
        connection.execute("DELETE FROM yekbar.positions")
        connection.execute("DELETE FROM yekbar.sources")

    bus.catch_up()

    assert found(bus) == before
    assert len(before) == 20


def test_a_finding_closes_when_its_event_is_corrected_and_opens_when_the_correction_is_annulled(bus):
    doubtful = bus.event(UUID(int=1), body=BAD)
    mended = bus.event(UUID(int=1), body=GOOD, change_kind=ChangeKind.CORRECTED, previous_event_id=doubtful.event_id)
    annulled = bus.event(UUID(int=1), body=None, change_kind=ChangeKind.ANNULLED, previous_event_id=mended.event_id)
    bus.send(doubtful, bus.event(UUID(int=1), body=GOOD))
    bus.catch_up()

    states = [[one.is_open for one in found(bus)]]
    for event in (mended, annulled):
        bus.send(event)
        bus.catch_up()
        states.append([one.is_open for one in found(bus)])

    assert states == [[True], [False], [True]]


def test_an_event_that_is_doubtful_and_corrected_in_one_batch_is_a_closed_finding(bus):
    doubtful = bus.event(UUID(int=1), body=BAD)
    mended = bus.event(UUID(int=1), body=GOOD, change_kind=ChangeKind.CORRECTED, previous_event_id=doubtful.event_id)
    bus.send(doubtful, mended)

    bus.catch_up()

    assert [(one.is_open, one.undone_at is not None) for one in found(bus)] == [(False, True)]
    assert found(bus, only_open=True) == []


def test_a_replay_of_the_log_puts_the_same_fields_under_investigation(bus):
    said = bus.event(uuid4(), body=BAD, under_investigation=("word",))
    bus.send(said, *(bus.event(uuid4(), body=body) for body in (GOOD, BAD)))
    bus.catch_up()

    with psycopg.connect(bus.database_url, autocommit=True) as connection, Log(bus.kafka) as log:
        compared = diff(log, connection, Checker(bus.record_type, bus.registry), limit=3)

    assert compared.is_equal
    assert sorted(sorted(fields) for (fields,) in bus.rows("under_investigation")) == [[], ["count"], ["count", "word"]]


def test_findings_are_counted_by_agency_and_rule(bus):
    bus.send(*(bus.event(uuid4(), body=BAD) for _ in range(3)))
    bus.catch_up()

    with psycopg.connect(bus.database_url) as connection:
        (one,) = findings_by_rule(connection, agency=bus.record_type.agency, only_open=True)
        nobody = findings_by_rule(connection, agency="another")

    assert (one.record_type, one.rule, one.found, one.open) == (bus.record_type.id, "count-plausible", 3, 3)
    assert one.open_since == min(row[0] for row in bus.rows("known_at"))
    assert nobody == []


def test_a_database_without_findings_says_what_to_do(database_url):
    with psycopg.connect(database_url) as connection, pytest.raises(NotFoundError, match="catalogue apply"):
        findings_by_rule(connection)
