import os
import threading
import time
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from io import BytesIO
from uuid import UUID, uuid4

import fastavro
import psycopg
import pytest
from confluent_kafka import Consumer, TopicPartition

from bus.envelope import ChangeKind, Event, EventIdMaker
from bus.framing import frame
from bus.kafka import kafka_connection, producer
from bus.reasons import Reason
from bus.topics import quarantine_topic, records_topic
from consumers.materializer.positions import create_positions
from consumers.materializer.worker import Parts, Worker
from consumers.quarantine import create_quarantine, list_entries, redrive
from consumers.views import create_views
from deploy.provision import create_topics, register_schemas
from registry.client import InMemorySchemaRegistry
from registry.composition import event_schema
from registry.contracts import QualityRule, RecordType, Severity

DEADLINE_S = 60
START = datetime(2026, 1, 1, tzinfo=UTC)
BODY = {
    "type": "record",
    "name": "Holding",
    "fields": [{"name": "word", "type": "string"}, {"name": "count", "type": ["null", "long"], "default": None}],
}
make_id = EventIdMaker()


def record_type_of(name, body=BODY):
    return RecordType(
        id=f"agency-{name}.holding",
        agency=f"agency-{name}",
        title={},
        body=body,
        record_key_field=None,
        fields=(),
        rules=(),
        freshness=timedelta(days=1),
        heartbeat=timedelta(minutes=1),
    )


class Bench:
    """One record type on the real broker and a database of its own, with workers and a raw producer."""

    def __init__(self, stack, database_url):
        self.record_type = record_type_of(uuid4().hex[:8])
        self.kafka = kafka_connection(stack.endpoints.kafka_bootstrap)
        self.database_url = database_url
        self.registry = InMemorySchemaRegistry()
        self.schema_id = register_schemas(self.registry, [self.record_type])[self.record_type.id]
        create_topics(self.kafka, [self.record_type], partitions=2)
        self.producer = producer(self.kafka)
        self.topic = records_topic(self.record_type.id)
        self.sequence = 0
        with psycopg.connect(database_url, autocommit=True) as connection:
            create_positions(connection)
            create_quarantine(connection)
            create_views(connection, self.record_type)

    def event(self, subject, **changes):
        self.sequence += 1
        return Event(
            **{
                "event_id": make_id(),
                "source": "agency/one",
                "sequence": self.sequence,
                "change_kind": ChangeKind.CREATED,
                "subject": subject,
                "effective_from": START,
                "recorded_at": START,
                "body": {"word": "واژه", "count": self.sequence},
                **changes,
            }
        )

    def value(self, event, *, schema=None, schema_id=None):
        written = BytesIO()
        schema = schema or event_schema(self.record_type)
        fastavro.schemaless_writer(written, fastavro.parse_schema(schema), event.to_avro())
        return frame(schema_id or self.schema_id) + written.getvalue()

    def send(self, *events):
        for event in events:
            self.send_raw(event.subject.bytes, self.value(event))

    def send_raw(self, key, value, **options):
        self.producer.produce(self.topic, key=key, value=value, **options)

    def parts(self, record_types=None):
        return Parts(
            kafka=self.kafka,
            database_url=self.database_url,
            registry=self.registry,
            record_types=record_types or [self.record_type],
            group=f"test-{self.record_type.id}",
        )

    def read_log(self):
        """The number of messages of the topic."""
        reader = Consumer({**self.kafka, "group.id": "counter"})
        ends = [reader.get_watermark_offsets(TopicPartition(self.topic, number), 10)[1] for number in (0, 1)]
        reader.close()
        return sum(ends)

    def catch_up(self, record_types=None):
        assert self.producer.flush(DEADLINE_S) == 0
        wanted = self.read_log()
        deadline = time.monotonic() + DEADLINE_S
        with psycopg.connect(self.database_url, autocommit=True) as connection:

            def is_done():
                assert time.monotonic() < deadline, "the materializer did not catch up"
                done = connection.execute("SELECT coalesce(sum(next_position), 0) FROM yekbar.positions").fetchone()
                return done == (wanted,)

            return Worker(self.parts(record_types)).run(is_done)

    def rows(self, columns):
        with psycopg.connect(self.database_url) as connection:
            return connection.execute(f'SELECT {columns} FROM "{self.record_type.id}".facts').fetchall()

    def reasons(self):
        with psycopg.connect(self.database_url) as connection:
            return Counter(entry.reason for entry in list_entries(connection))


@pytest.fixture
def bench(stack, database_url):
    return Bench(stack, database_url)


def test_events_become_facts_and_a_correction_voids_what_it_names(bench):
    first, other = bench.event(UUID(int=1)), bench.event(UUID(int=2))
    fixed = bench.event(
        UUID(int=1), change_kind=ChangeKind.CORRECTED, previous_event_id=first.event_id, body={"word": "به", "count": 9}
    )
    bench.send(first, other, fixed)

    tally = bench.catch_up()

    assert (tally.events, tally.applied, tally.quarantined) == (3, 3, 0)
    assert set(bench.rows("event_id, voided_by, word")) == {
        (first.event_id, fixed.event_id, "واژه"),
        (other.event_id, None, "واژه"),
        (fixed.event_id, None, "به"),
    }


def bad_ones(bench):
    """Each kind of bad message with the reason that it must get."""
    good = bench.event(UUID(int=50))
    whole = bench.value(good)
    later = datetime.now(UTC) + timedelta(days=4000)
    wrong_type = record_type_of("other")
    other_id = register_schemas(bench.registry, [wrong_type])[wrong_type.id]
    key = good.subject.bytes
    of = bench.value
    subject = good.subject
    return [
        (key, None, Reason.NULL_VALUE),
        (key, b"\x01" + whole[1:], Reason.UNKNOWN_MAGIC_BYTE),
        (key, b"", Reason.UNKNOWN_MAGIC_BYTE),
        (key, frame(99_999) + whole[5:], Reason.UNKNOWN_SCHEMA),
        (key, of(good, schema=event_schema(wrong_type), schema_id=other_id), Reason.WRONG_RECORD_TYPE),
        (key, whole[:-3], Reason.MALFORMED_PAYLOAD),
        (key, whole + b"\0", Reason.MALFORMED_PAYLOAD),
        (key, whole[:5] + os.urandom(40), Reason.MALFORMED_PAYLOAD),
        (UUID(int=51).bytes, whole, Reason.KEY_MISMATCH),
        (None, whole, Reason.KEY_MISMATCH),
        (key, of(bench.event(subject, sequence=0)), Reason.SEQUENCE_NOT_POSITIVE),
        (key, of(bench.event(subject, change_kind=ChangeKind.ANNULLED, body=None)), Reason.MISSING_PREVIOUS_EVENT),
        (key, of(bench.event(subject, previous_event_id=make_id())), Reason.UNEXPECTED_PREVIOUS_EVENT),
        (key, of(bench.event(subject, body=None)), Reason.MISSING_BODY),
        (
            key,
            of(bench.event(subject, change_kind=ChangeKind.ANNULLED, previous_event_id=make_id())),
            Reason.UNEXPECTED_BODY,
        ),
        (key, of(bench.event(subject, record_key="k")), Reason.RECORD_KEY_MISMATCH),
        (key, of(bench.event(subject, effective_to=START)), Reason.EMPTY_PERIOD),
        (key, of(bench.event(subject, effective_from=datetime(900, 1, 1, tzinfo=UTC))), Reason.TIME_OUT_OF_RANGE),
        (key, of(bench.event(subject, recorded_at=later)), Reason.RECORDED_IN_FUTURE),
        (key, of(bench.event(subject, effective_from=later)), Reason.EFFECTIVE_TOO_FAR_AHEAD),
        (key, of(bench.event(subject, body={"word": "a\0b", "count": 1})), Reason.NUL_CHARACTER),
        (
            key,
            of(bench.event(subject, change_kind=ChangeKind.CORRECTED, previous_event_id=make_id())),
            Reason.UNKNOWN_PREVIOUS_EVENT,
        ),
    ]


def test_every_bad_event_is_quarantined_with_its_reason_and_the_good_ones_around_it_are_applied(bench):
    bad = bad_ones(bench)
    good = []
    for key, value, _ in bad:
        good.append(bench.event(uuid4()))
        bench.send(good[-1])
        bench.send_raw(key, value, headers=[("trace", b"7")])
    again = bench.event(good[0].subject, event_id=good[0].event_id)
    bench.send(again)

    tally = bench.catch_up()

    assert {row[0] for row in bench.rows("event_id")} == {event.event_id for event in good}
    assert bench.reasons() == Counter(str(reason) for *_, reason in bad) + Counter({"event-id-reused": 1})
    assert tally.events == tally.applied + tally.quarantined
    with psycopg.connect(bench.database_url) as connection:
        entries = {entry.value: entry for entry in list_entries(connection)}
        assert all(entry.announced_at for entry in entries.values())
    assert all(entries[value].key == key for key, value, reason in bad if reason is not Reason.KEY_MISMATCH)
    assert entries[bad[4][1]].headers == [["trace", "Nw=="]]


def test_the_quarantine_topic_carries_the_original_bytes_and_the_names_of_kafka_connect(bench):
    bench.send_raw(b"key", b"junk", headers=[("trace", b"7")])
    bench.catch_up()
    reader = Consumer({**bench.kafka, "group.id": "watcher"})
    reader.assign([TopicPartition(quarantine_topic(bench.record_type.id), 0, 0)])

    message = reader.poll(DEADLINE_S)
    reader.close()

    headers = dict(message.headers())
    assert (message.key(), message.value(), headers["trace"]) == (b"key", b"junk", b"7")
    assert headers["__connect.errors.topic"].decode() == bench.topic
    assert headers["__connect.errors.offset"] == b"0"
    assert headers["__connect.errors.exception.class.name"] == b"unknown-magic-byte"


def test_an_event_that_came_before_what_it_corrects_is_applied_when_redriven(bench):
    first = bench.event(UUID(int=1))
    fixed = bench.event(UUID(int=1), change_kind=ChangeKind.CORRECTED, previous_event_id=first.event_id)
    bench.send(fixed, first)
    bench.catch_up()

    with psycopg.connect(bench.database_url, autocommit=True) as connection:
        assert redrive(connection, bench.producer, list_entries(connection)) == 1
    bench.catch_up()

    assert set(bench.rows("event_id, voided_by")) == {(first.event_id, fixed.event_id), (fixed.event_id, None)}
    with psycopg.connect(bench.database_url) as connection:
        assert [entry.state for entry in list_entries(connection)] == ["redriven"]


def test_a_repeated_event_has_no_effect_and_is_not_counted_as_received_twice(bench):
    events = [bench.event(uuid4()) for _ in range(50)]
    bench.send(*events, *events[:10])
    bench.catch_up()
    bench.send(*events)

    tally = bench.catch_up()

    assert tally.duplicates == 50
    with psycopg.connect(bench.database_url) as connection:
        counted = connection.execute(
            "SELECT max(highest_sequence), sum(received)::bigint FROM yekbar.sources"
        ).fetchone()
    assert counted == (50, 50)
    assert len(bench.rows("1")) == 50


def test_a_new_optional_field_is_taken_beside_old_events_once_the_contract_has_it(bench):
    old = bench.event(UUID(int=1))
    wider = {**BODY, "fields": [*BODY["fields"], {"name": "note", "type": ["null", "string"], "default": None}]}
    contract = RecordType(**{name: getattr(bench.record_type, name) for name in RecordType.__slots__} | {"body": wider})
    new_id = register_schemas(bench.registry, [contract])[contract.id]
    new = bench.event(UUID(int=2), body={"word": "نو", "count": None, "note": "یادداشت"})
    bench.send(old)
    bench.send_raw(new.subject.bytes, bench.value(new, schema=event_schema(contract), schema_id=new_id))
    bench.catch_up()
    assert bench.reasons() == {"schema-ahead-of-contract": 1}

    with psycopg.connect(bench.database_url, autocommit=True) as connection:
        create_views(connection, contract)
        redrive(connection, bench.producer, list_entries(connection))
    bench.catch_up([contract])

    assert set(bench.rows("event_id, note")) == {(old.event_id, None), (new.event_id, "یادداشت")}


def test_the_row_that_the_database_refuses_is_found_among_the_others(bench):
    with psycopg.connect(bench.database_url, autocommit=True) as connection:
        connection.execute(f'DROP VIEW "{bench.record_type.id}".timeline')
        connection.execute(f'ALTER TABLE "{bench.record_type.id}".facts ALTER COLUMN word TYPE varchar(5)')
    events = [bench.event(uuid4()) for _ in range(20)]
    events[7] = bench.event(uuid4(), body={"word": "بسیار بلند", "count": 0})
    bench.send(*events)

    bench.catch_up()

    assert len(bench.rows("1")) == 19
    assert bench.reasons() == {"unstorable": 1}


def test_a_rule_that_refuses_quarantines_and_one_that_flags_puts_the_field_under_investigation(bench):
    rules = (
        QualityRule(id="count-positive", field="count", check="count > 0", severity=Severity.REFUSE),
        QualityRule(id="count-plausible", field="count", check="count < 100", severity=Severity.FLAG),
    )
    bench.record_type = replace(bench.record_type, rules=rules)
    counts = [5, 0, 500, None]
    bench.send(*(bench.event(uuid4(), body={"word": "واژه", "count": count}) for count in counts))

    bench.catch_up()

    assert dict(bench.rows("count, under_investigation")) == {5: [], 500: ["count"], None: []}
    with psycopg.connect(bench.database_url) as connection:
        assert [(one.reason, one.detail) for one in list_entries(connection)] == [
            ("quality-rule", "rule 'count-positive'")
        ]


def test_two_workers_share_the_partitions_and_apply_each_event_once(bench):
    events = [bench.event(uuid4()) for _ in range(3_000)]
    bench.send(*events)
    bench.producer.flush(DEADLINE_S)
    stop = threading.Event()
    threads = [threading.Thread(target=lambda: Worker(bench.parts()).run(stop.is_set), daemon=True) for _ in range(2)]
    for thread in threads:
        thread.start()

    deadline = time.monotonic() + DEADLINE_S
    while len(bench.rows("1")) < len(events):
        assert time.monotonic() < deadline
    stop.set()
    for thread in threads:
        thread.join(DEADLINE_S)

    assert {row[0] for row in bench.rows("event_id")} == {event.event_id for event in events}
    assert bench.reasons() == {}
