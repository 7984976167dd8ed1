import json
import os
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import polars as pl
import psycopg
import pytest
from confluent_kafka import Consumer, TopicPartition
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from raw_bus import DEADLINE_S, RawBus, record_type_of

from bus.envelope import ChangeKind
from bus.failpoints import EXIT_CODE
from bus.findings import FindingState, decode_finding
from bus.kafka import kafka_connection
from bus.topics import QUALITY_FINDINGS
from consumers import quality_across
from consumers.evidence.queries import compiled
from consumers.materializer.apply import apply, encode
from consumers.materializer.positions import create_positions
from consumers.quality import create_findings, follow_events, list_findings
from consumers.quality_across import Across
from consumers.quality_watch import QualityWatch
from consumers.views import create_views, holding_sql
from deploy.provision import create_topics
from registry.client import InMemorySchemaRegistry
from registry.contracts import Catalogue, Claim, EvidenceType, Per, QualityRule, Severity

START = datetime(2026, 1, 1, tzinfo=UTC)
LATER = START + timedelta(days=1)
KINDS = list(ChangeKind)
REGISTER = record_type_of("civil")
RULE = QualityRule(id="person-known", field="word", check="", severity=Severity.FLAG, known_in=REGISTER.id)
OWN = replace(record_type_of("tax"), rules=(RULE,))
FIXED = dict.fromkeys(("subject", "event_id", "previous_event_id"), pl.Binary)
INSTANTS = dict.fromkeys(("effective_from", "effective_to", "recorded_at", "known_at"), pl.Datetime("us", "UTC"))


class Registers:
    """Two views without a log behind them, written as the materializer writes them."""

    def __init__(self, connection):
        self.connection = connection
        self.clock = 0
        create_positions(connection)
        create_findings(connection)
        for record_type in (REGISTER, OWN):
            create_views(connection, record_type)

    def begin(self):
        """Empties the views; both have been read to the end of an empty log."""
        self.events = []
        tables = ", ".join(
            [
                "quality.findings",
                "quality.judged",
                "yekbar.positions",
                *(f'"{one.id}".facts' for one in (OWN, REGISTER)),
            ]
        )
        self.connection.execute(f"TRUNCATE {tables}")
        for record_type in (OWN, REGISTER):
            self.connection.execute(
                "INSERT INTO yekbar.positions VALUES (%s, 0, 't', 'i', 1, 0, NULL, %s)",
                (record_type.id, START),
            )
        self.complete_until(LATER)

    def complete_until(self, at):
        """Says until when the register's view is complete."""
        self.connection.execute("UPDATE yekbar.positions SET caught_up_at = %s WHERE view = %s", (at, REGISTER.id))

    def write(self, record_type, person, kind=ChangeKind.CREATED, previous=None):
        """One event, a second after the last; its id."""
        self.clock += 1
        event_id = uuid4()
        row = {
            "subject": UUID(int=person).bytes,
            "record_key": "",
            "event_id": event_id.bytes,
            "change_kind": KINDS.index(kind),
            "previous_event_id": previous and previous.bytes,
            "effective_from": START,
            "effective_to": None,
            "recorded_at": START,
            "known_at": START + timedelta(seconds=self.clock),
            "partition": 0,
            "position": self.clock,
            "under_investigation": [],
            "word": "واژه",
            "count": 1,
        }
        schema = {**FIXED, **INSTANTS, "under_investigation": pl.List(pl.String)}
        encoded = encode(record_type, pl.DataFrame([row], schema_overrides=schema))
        with self.connection.transaction():
            assert apply(self.connection, record_type, encoded).applied == 1
            follow_events(self.connection, record_type, encoded.references)
            self.connection.execute(
                "UPDATE yekbar.positions SET next_position = %s WHERE view = %s", (self.clock + 1, record_type.id)
            )
        self.events.append((record_type, person, event_id))
        return event_id

    def sweep(self):
        return Across(self.connection, [OWN]).sweep()

    def open(self):
        """The events that have an open finding."""
        return {one.event_id for one in list_findings(self.connection, only_open=True)}

    def unknown(self):
        """The events of the own view that hold, of persons whom the register does not know; told by the views alone."""
        live = "SELECT subject, event_id FROM {}.facts WHERE voided_by IS NULL AND change_kind IN (0, 2)"
        known = {subject for subject, _ in self.connection.execute(live.format(f'"{REGISTER.id}"'))}
        own = self.connection.execute(live.format(f'"{OWN.id}"'))
        return {event_id for subject, event_id in own if subject not in known}


@pytest.fixture
def registers(database_url):
    with psycopg.connect(database_url, autocommit=True) as connection:
        made = Registers(connection)
        made.begin()
        yield made


def test_a_record_of_a_person_whom_the_register_does_not_know_is_found(registers):
    registers.write(REGISTER, 1)
    registers.write(OWN, 1)
    stranger = registers.write(OWN, 2)

    registers.sweep()

    (found,) = list_findings(registers.connection)
    assert (found.event_id, found.rule, found.field, found.record_type) == (stranger, RULE.id, "word", OWN.id)
    assert registers.sweep() == 0


def test_a_finding_is_settled_once_the_person_becomes_known_and_opens_when_that_was_wrong(registers):
    registers.write(REGISTER, 1)
    stranger = registers.write(OWN, 2)
    registers.sweep()

    known = registers.write(REGISTER, 2)
    registers.sweep()
    settled = list_findings(registers.connection)
    registers.write(REGISTER, 2, ChangeKind.ANNULLED, known)
    registers.sweep()

    assert [(one.is_open, one.settled_at is not None) for one in settled] == [(False, True)]
    assert registers.open() == {stranger}


def test_who_was_known_and_is_no_longer_is_found_for_the_first_time(registers):
    registers.write(REGISTER, 1)
    known = registers.write(REGISTER, 2)
    told = registers.write(OWN, 2)
    registers.sweep()
    before = registers.open()

    registers.write(REGISTER, 2, ChangeKind.ANNULLED, known)
    registers.sweep()

    assert (before, registers.open()) == (set(), {told})


def test_nobody_is_judged_before_the_register_is_complete_for_the_time_of_the_event(registers):
    registers.write(REGISTER, 1)
    registers.complete_until(START)
    stranger = registers.write(OWN, 2)
    registers.sweep()
    too_early = registers.open()
    registers.complete_until(None)
    registers.sweep()
    never_read = registers.open()
    registers.complete_until(LATER)

    registers.sweep()

    assert (too_early, never_read, registers.open()) == (set(), set(), {stranger})


def test_a_register_that_holds_nobody_judges_nobody(registers):
    registers.write(OWN, 1)

    registers.sweep()

    assert registers.open() == set()


def test_a_rule_with_too_many_open_findings_waits(registers, monkeypatch):
    monkeypatch.setattr(quality_across, "OPEN_MAX", 2)
    registers.write(REGISTER, 1)
    strangers = [registers.write(OWN, person) for person in (2, 3, 4)]
    monkeypatch.setattr(quality_across, "STRETCH_EVENTS", 2)
    registers.sweep()
    drowned = len(registers.open())

    for person in (2, 3, 4):
        registers.write(REGISTER, person)
    registers.sweep()

    assert drowned == 2
    assert registers.open() == set()
    assert len(list_findings(registers.connection)) <= len(strangers)


def test_the_view_puts_the_field_under_investigation_as_long_as_the_finding_is_open(registers):
    registers.write(REGISTER, 1)
    registers.write(OWN, 2)

    def doubted():
        asked = {"subjects": [UUID(int=2)], "at": LATER}
        ((fields,),) = registers.connection.execute(
            b"SELECT under_investigation FROM (" + holding_sql(OWN, as_known=False).as_bytes() + b") AS held", asked
        )
        return fields

    seen = [doubted()]
    registers.sweep()
    seen.append(doubted())
    registers.write(REGISTER, 2)
    registers.sweep()
    seen.append(doubted())

    assert seen == [[], ["word"], []]


def test_evidence_says_that_a_claim_rests_on_a_doubted_field(registers):
    registers.write(REGISTER, 1)
    registers.write(OWN, 2)
    registers.sweep()
    evidence = EvidenceType(
        id="word",
        provider=OWN.agency,
        title={},
        per=Per.RECORD,
        views={"own": OWN.id},
        claims=(Claim(name="word", title={}, sql='"own"."word"'),),
        proven_when=None,
    )
    catalogue = Catalogue(
        national_id_scheme="iran",
        agencies={},
        record_types={OWN.id: OWN, REGISTER.id: REGISTER},
        evidence_types={evidence.id: evidence},
        procedures={},
        agreements={},
    )

    query = compiled(catalogue, evidence, claims=("word",), as_known=False)
    with psycopg.RawCursor(registers.connection) as cursor:
        ((_, _, piece),) = cursor.execute(query, [[UUID(int=2)], LATER]).fetchall()

    assert json.loads(piece)["under_investigation"] == ["word"]


STEPS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from([OWN, REGISTER]), st.integers(1, 3), st.sampled_from(KINDS), st.integers(0, 5)),
        st.sampled_from(["sweep", "behind", "complete"]),
    ),
    max_size=18,
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_what_is_open_in_the_end_is_what_holds_of_unknown_persons_whatever_came_between(registers, monkeypatch, steps):
    monkeypatch.setattr(quality_across, "STRETCH_EVENTS", 3)
    registers.begin()
    registers.write(REGISTER, 9)
    for step in steps:
        if step == "sweep":
            registers.sweep()
        elif isinstance(step, str):
            registers.complete_until(START + timedelta(seconds=registers.clock) if step == "behind" else LATER)
        else:
            record_type, person, kind, back = step
            targets = [one for known_type, of, one in registers.events if (known_type, of) == (record_type, person)]
            previous = None
            if kind in (ChangeKind.CORRECTED, ChangeKind.ANNULLED):
                if not targets:
                    continue
                previous = targets[-1 - back % len(targets)]
            registers.write(record_type, person, kind, previous)
    registers.complete_until(LATER)

    registers.sweep()

    assert registers.open() == registers.unknown()


def messages(kafka, record_type):
    """What the topic of findings has of a record type, by finding, in the order of each."""
    reader = Consumer({**kafka, "group.id": f"reader-{uuid4()}", "enable.partition.eof": True})
    reader.assign([TopicPartition(QUALITY_FINDINGS, 0, 0)])
    found = []
    while (message := reader.poll(DEADLINE_S)) is not None and message.error() is None:
        one = decode_finding(message.value())
        if one.record_type == record_type:
            found.append((message.key(), one))
    reader.close()
    return found


def test_the_topic_hears_of_each_finding_and_of_what_becomes_of_it(stack, database_url):
    bus = RawBus(stack.endpoints.kafka_bootstrap, database_url)
    rule = QualityRule(id="count-plausible", field="count", check="count < 100", severity=Severity.FLAG)
    bus.record_type = replace(bus.record_type, rules=(rule,))
    create_topics(bus.kafka, [bus.record_type], partitions=2)
    registry = InMemorySchemaRegistry()
    watch = QualityWatch(kafka=bus.kafka, database_url=database_url, registry=registry, record_types=[bus.record_type])
    doubtful = bus.event(UUID(int=1), body={"word": "واژه", "count": 500})
    bus.send(doubtful)
    bus.catch_up()
    watch.catch_up()
    bus.send(bus.event(UUID(int=1), change_kind=ChangeKind.ANNULLED, body=None, previous_event_id=doubtful.event_id))
    bus.catch_up()
    watch.catch_up()

    watch.catch_up()

    told = messages(bus.kafka, bus.record_type.id)
    assert [one.state for _, one in told] == [FindingState.OPEN, FindingState.UNDONE]
    assert {(one.rule, one.field, one.event_id, one.subject) for _, one in told} == {
        (rule.id, "count", doubtful.event_id, UUID(int=1))
    }
    assert len({key for key, _ in told}) == 1


def test_one_watch_at_a_time_judges(registers, stack, database_url):
    registers.write(REGISTER, 1)
    registers.write(OWN, 2)
    watch = QualityWatch(
        kafka={"bootstrap.servers": stack.endpoints.kafka_bootstrap},
        database_url=database_url,
        registry=InMemorySchemaRegistry(),
        record_types=[OWN],
    )
    with psycopg.connect(database_url, autocommit=True) as other:
        other.execute("SELECT pg_advisory_lock(%s)", (0x51756C79,))

        watch.catch_up()

    assert registers.open() == set()


SWEEPING = """
import sys
import psycopg
from consumers.quality_across import Across
from consumers.quality_watch import QualityWatch
from dataclasses import replace
from raw_bus import record_type_of
from registry.client import InMemorySchemaRegistry
from registry.contracts import QualityRule, Severity
from bus.kafka import kafka_connection

bootstrap, database_url = sys.argv[1:]
register = record_type_of("civil").id
rule = QualityRule(id="person-known", field="word", check="", severity=Severity.FLAG, known_in=register)
own = replace(record_type_of("tax"), rules=(rule,))
QualityWatch(
    kafka=kafka_connection(bootstrap), database_url=database_url, registry=InMemorySchemaRegistry(), record_types=[own]
).catch_up()
"""


@pytest.mark.parametrize("step", ["quality.judged", "quality.announced"])
def test_a_watch_that_dies_at_a_step_loses_no_finding_and_doubles_none(registers, stack, database_url, step):
    create_topics(kafka_connection(stack.endpoints.kafka_bootstrap), [])
    registers.write(REGISTER, 1)
    strangers = {registers.write(OWN, person) for person in (2, 3, 4)}
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1] / "support"), "YEKBAR_MODE": "development"}
    command = [sys.executable, "-c", SWEEPING, stack.endpoints.kafka_bootstrap, database_url]

    died = subprocess.run(command, env={**environment, "YEKBAR_FAILPOINTS": f"{step}=1"}, timeout=DEADLINE_S)
    went_on = subprocess.run(command, env=environment, timeout=DEADLINE_S)

    assert (died.returncode, went_on.returncode) == (EXIT_CODE, 0)
    assert sorted(one.event_id for one in list_findings(registers.connection)) == sorted(strangers)
    told = messages(kafka_connection(stack.endpoints.kafka_bootstrap), OWN.id)
    assert {one.event_id for _, one in told} >= strangers
