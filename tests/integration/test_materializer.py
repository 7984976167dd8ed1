import os
import threading
import time
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import psycopg
import pytest
from confluent_kafka import Consumer, TopicPartition
from raw_bus import BODY, DEADLINE_S, START, RawBus, make_id, record_type_of

from bus.envelope import ChangeKind
from bus.framing import frame
from bus.reasons import Reason
from bus.topics import quarantine_topic
from consumers.materializer.worker import Worker
from consumers.quarantine import list_entries, redrive
from consumers.views import create_views
from deploy.provision import register_schemas
from registry.composition import event_schema
from registry.contracts import QualityRule, RecordType, Severity


@pytest.fixture
def bus(stack, database_url):
    return RawBus(stack.endpoints.kafka_bootstrap, database_url)


def test_events_become_facts_and_a_correction_voids_what_it_names(bus):
    first, other = bus.event(UUID(int=1)), bus.event(UUID(int=2))
    fixed = bus.event(
        UUID(int=1), change_kind=ChangeKind.CORRECTED, previous_event_id=first.event_id, body={"word": "به", "count": 9}
    )
    bus.send(first, other, fixed)

    tally = bus.catch_up()

    assert (tally.events, tally.applied, tally.quarantined) == (3, 3, 0)
    assert set(bus.rows("event_id, voided_by, word")) == {
        (first.event_id, fixed.event_id, "واژه"),
        (other.event_id, None, "واژه"),
        (fixed.event_id, None, "به"),
    }


def bad_ones(bus):
    """Each kind of bad message with the reason that it must get."""
    good = bus.event(UUID(int=50))
    whole = bus.value(good)
    later = datetime.now(UTC) + timedelta(days=4000)
    wrong_type = record_type_of("other")
    other_id = register_schemas(bus.registry, [wrong_type])[wrong_type.id]
    key = good.subject.bytes
    of = bus.value
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
        (key, of(bus.event(subject, sequence=0)), Reason.SEQUENCE_NOT_POSITIVE),
        (key, of(bus.event(subject, change_kind=ChangeKind.ANNULLED, body=None)), Reason.MISSING_PREVIOUS_EVENT),
        (key, of(bus.event(subject, previous_event_id=make_id())), Reason.UNEXPECTED_PREVIOUS_EVENT),
        (key, of(bus.event(subject, body=None)), Reason.MISSING_BODY),
        (
            key,
            of(bus.event(subject, change_kind=ChangeKind.ANNULLED, previous_event_id=make_id())),
            Reason.UNEXPECTED_BODY,
        ),
        (key, of(bus.event(subject, record_key="k")), Reason.RECORD_KEY_MISMATCH),
        (key, of(bus.event(subject, effective_to=START)), Reason.EMPTY_PERIOD),
        (key, of(bus.event(subject, effective_from=datetime(900, 1, 1, tzinfo=UTC))), Reason.TIME_OUT_OF_RANGE),
        (key, of(bus.event(subject, recorded_at=later)), Reason.RECORDED_IN_FUTURE),
        (key, of(bus.event(subject, effective_from=later)), Reason.EFFECTIVE_TOO_FAR_AHEAD),
        (key, of(bus.event(subject, body={"word": "a\0b", "count": 1})), Reason.NUL_CHARACTER),
        (
            key,
            of(bus.event(subject, change_kind=ChangeKind.CORRECTED, previous_event_id=make_id())),
            Reason.UNKNOWN_PREVIOUS_EVENT,
        ),
    ]


def test_every_bad_event_is_quarantined_with_its_reason_and_the_good_ones_around_it_are_applied(bus):
    bad = bad_ones(bus)
    good = []
    for key, value, _ in bad:
        good.append(bus.event(uuid4()))
        bus.send(good[-1])
        bus.send_raw(key, value, headers=[("trace", b"7")])
    again = bus.event(good[0].subject, event_id=good[0].event_id)
    bus.send(again)

    tally = bus.catch_up()

    assert {row[0] for row in bus.rows("event_id")} == {event.event_id for event in good}
    assert bus.reasons() == Counter(str(reason) for *_, reason in bad) + Counter({"event-id-reused": 1})
    assert tally.events == tally.applied + tally.quarantined
    with psycopg.connect(bus.database_url) as connection:
        entries = {entry.value: entry for entry in list_entries(connection)}
        assert all(entry.announced_at for entry in entries.values())
    assert all(entries[value].key == key for key, value, reason in bad if reason is not Reason.KEY_MISMATCH)
    assert entries[bad[4][1]].headers == [["trace", "Nw=="]]


def test_the_quarantine_topic_carries_the_original_bytes_and_the_names_of_kafka_connect(bus):
    bus.send_raw(b"key", b"junk", headers=[("trace", b"7")])
    bus.catch_up()
    reader = Consumer({**bus.kafka, "group.id": "watcher"})
    reader.assign([TopicPartition(quarantine_topic(bus.record_type.id), 0, 0)])

    message = reader.poll(DEADLINE_S)
    reader.close()

    headers = dict(message.headers())
    assert (message.key(), message.value(), headers["trace"]) == (b"key", b"junk", b"7")
    assert headers["__connect.errors.topic"].decode() == bus.topic
    assert headers["__connect.errors.offset"] == b"0"
    assert headers["__connect.errors.exception.class.name"] == b"unknown-magic-byte"


def test_an_event_that_came_before_what_it_corrects_is_applied_when_redriven(bus):
    first = bus.event(UUID(int=1))
    fixed = bus.event(UUID(int=1), change_kind=ChangeKind.CORRECTED, previous_event_id=first.event_id)
    bus.send(fixed, first)
    bus.catch_up()

    with psycopg.connect(bus.database_url, autocommit=True) as connection:
        assert redrive(connection, bus.producer, list_entries(connection)) == 1
    bus.catch_up()

    assert set(bus.rows("event_id, voided_by")) == {(first.event_id, fixed.event_id), (fixed.event_id, None)}
    with psycopg.connect(bus.database_url) as connection:
        assert [entry.state for entry in list_entries(connection)] == ["redriven"]


def test_a_repeated_event_has_no_effect_and_is_not_counted_as_received_twice(bus):
    events = [bus.event(uuid4()) for _ in range(50)]
    bus.send(*events, *events[:10])
    bus.catch_up()
    bus.send(*events, replace(events[0], sequence=51))

    tally = bus.catch_up()

    assert tally.duplicates == 51
    with psycopg.connect(bus.database_url) as connection:
        counted = connection.execute(
            "SELECT max(highest_sequence), sum(received)::bigint FROM yekbar.sources"
        ).fetchone()
    assert counted == (51, 51)
    assert len(bus.rows("1")) == 50


def test_a_new_optional_field_is_taken_beside_old_events_once_the_contract_has_it(bus):
    old = bus.event(UUID(int=1))
    wider = {**BODY, "fields": [*BODY["fields"], {"name": "note", "type": ["null", "string"], "default": None}]}
    contract = RecordType(**{name: getattr(bus.record_type, name) for name in RecordType.__slots__} | {"body": wider})
    new_id = register_schemas(bus.registry, [contract])[contract.id]
    new = bus.event(UUID(int=2), body={"word": "نو", "count": None, "note": "یادداشت"})
    bus.send(old)
    bus.send_raw(new.subject.bytes, bus.value(new, schema=event_schema(contract), schema_id=new_id))
    bus.catch_up()
    assert bus.reasons() == {"schema-ahead-of-contract": 1}

    with psycopg.connect(bus.database_url, autocommit=True) as connection:
        create_views(connection, contract)
        redrive(connection, bus.producer, list_entries(connection))
    bus.catch_up([contract])

    assert set(bus.rows("event_id, note")) == {(old.event_id, None), (new.event_id, "یادداشت")}


def test_the_row_that_the_database_refuses_is_found_among_the_others(bus):
    with psycopg.connect(bus.database_url, autocommit=True) as connection:
        connection.execute(f'DROP VIEW "{bus.record_type.id}".timeline')
        connection.execute(f'ALTER TABLE "{bus.record_type.id}".facts ALTER COLUMN word TYPE varchar(5)')
    events = [bus.event(uuid4()) for _ in range(20)]
    events[7] = bus.event(uuid4(), body={"word": "بسیار بلند", "count": 0})
    bus.send(*events)

    bus.catch_up()

    assert len(bus.rows("1")) == 19
    assert bus.reasons() == {"unstorable": 1}


def test_a_rule_that_refuses_quarantines_and_one_that_flags_puts_the_field_under_investigation(bus):
    rules = (
        QualityRule(id="count-positive", field="count", check="count > 0", severity=Severity.REFUSE),
        QualityRule(id="count-plausible", field="count", check="count < 100", severity=Severity.FLAG),
    )
    bus.record_type = replace(bus.record_type, rules=rules)
    counts = [5, 0, 500, None]
    bus.send(*(bus.event(uuid4(), body={"word": "واژه", "count": count}) for count in counts))

    bus.catch_up()

    assert dict(bus.rows("count, under_investigation")) == {5: [], 500: ["count"], None: []}
    with psycopg.connect(bus.database_url) as connection:
        assert [(one.reason, one.detail) for one in list_entries(connection)] == [
            ("quality-rule", "rule 'count-positive'")
        ]


def test_two_workers_share_the_partitions_and_apply_each_event_once(bus):
    events = [bus.event(uuid4()) for _ in range(3_000)]
    bus.send(*events)
    bus.producer.flush(DEADLINE_S)
    stop = threading.Event()
    threads = [threading.Thread(target=lambda: Worker(bus.parts()).run(stop.is_set), daemon=True) for _ in range(2)]
    for thread in threads:
        thread.start()

    deadline = time.monotonic() + DEADLINE_S
    while len(bus.rows("1")) < len(events):
        assert time.monotonic() < deadline
    stop.set()
    for thread in threads:
        thread.join(DEADLINE_S)

    assert {row[0] for row in bus.rows("event_id")} == {event.event_id for event in events}
    assert bus.reasons() == {}
