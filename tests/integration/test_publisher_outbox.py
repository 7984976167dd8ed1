import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import count as count_from
from pathlib import Path
from uuid import UUID, uuid4

import psycopg
import pytest
from confluent_kafka import TopicPartition
from psycopg.types.json import Jsonb

from bus.columns import Decoder
from bus.failpoints import EXIT_CODE
from bus.heartbeats import decode_heartbeat
from bus.kafka import admin, consumer, kafka_connection
from bus.national_id import iran_check_digit
from bus.subject import Pseudonymizer
from bus.topics import SOURCE_HEARTBEATS, records_topic
from deploy.local.kafka import Broker, BrokerPorts
from deploy.local.process import free_port
from deploy.provision import create_topics
from producers.errors import NoOutboxError
from producers.heartbeat import Heart
from producers.outbox import OutboxRelay
from producers.outbox_journal import outbox_ddl
from producers.publisher import Publisher
from registry.catalogue import load_catalogue
from registry.client import InMemorySchemaRegistry
from registry.composition import event_schema
from registry.contracts import QualityRule, RecordType, Severity

SUPPORT = Path(__file__).parents[1] / "support"
DEADLINE_S = 60
SCHEMA = "desk outbox"  # a name that careless code trips over
START = datetime(2024, 1, 1, tzinfo=UTC)
PSEUDONYMIZER = Pseudonymizer(bytes(32), "iran")
FIELDS = [
    {"name": "number", "type": "string"},
    {"name": "area", "type": "int"},
    {"name": "share", "type": ["null", "double"], "default": None},
    {"name": "issued_on", "type": ["null", {"type": "int", "logicalType": "date"}], "default": None},
    {"name": "tags", "type": {"type": "array", "items": "string"}},
]
DEED = RecordType(
    id="some-agency.deed",
    agency="some-agency",
    title={},
    body={"type": "record", "name": "Deed", "fields": FIELDS},
    record_key_field="number",
    fields=(),
    rules=(QualityRule(id="area-positive", field="area", check="area > 0", severity=Severity.REFUSE),),
    freshness=timedelta(days=1),
    heartbeat=timedelta(minutes=1),
)


def person(number):
    nine = f"{number + 100_000_000:09}"
    return nine + str(iran_check_digit(nine))


@pytest.fixture
def deed():
    return replace(DEED, id=f"some-agency.deed-{uuid4().hex[:12]}")


@pytest.fixture
def kafka(stack, deed):
    connection = kafka_connection(stack.endpoints.kafka_bootstrap)
    create_topics(connection, [deed])
    return connection


@pytest.fixture
def outbox(database_url):
    """A connection to the agency's database, with its outbox; each statement its own transaction."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(outbox_ddl(SCHEMA))
        yield connection


def write(connection, kind, number, **changes):
    row = {
        "record_type": kind.id,
        "national_id": person(number),
        "effective_from": START + timedelta(days=number % 100),
        "body": {"number": f"{number}", "area": 80, "tags": []},
        **changes,
    }
    if row["body"] is not None:
        row["body"] = Jsonb(row["body"])
    names = ", ".join(row)
    marks = ", ".join(f"%({name})s" for name in row)
    connection.execute(f'INSERT INTO "{SCHEMA}".changes ({names}) VALUES ({marks})', row)


def relay_of(database_url, record_types, kafka, *, registry=None):
    shared = registry or InMemorySchemaRegistry()

    def open_publisher(record_type, source, journal):
        return Publisher(
            record_type,
            source=source,
            kafka=kafka,
            registry=shared,
            pseudonymizer=PSEUDONYMIZER,
            journal=journal,
        )

    by_name = {one.id: one for one in record_types}
    return OutboxRelay(database_url, schema=SCHEMA, name="outbox", record_types=by_name, open_publisher=open_publisher)


@contextmanager
def relaying(database_url, record_types, kafka, **options):
    """A relay that runs in a thread of this process."""
    must_stop = threading.Event()
    relay = relay_of(database_url, record_types, kafka)
    thread = threading.Thread(target=relay.run, args=(must_stop,), kwargs=options)
    thread.start()
    try:
        yield relay
    finally:
        must_stop.set()
        thread.join(DEADLINE_S)
        assert not thread.is_alive()


def wait_until(is_so):
    deadline = time.monotonic() + DEADLINE_S
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def count(connection, table="changes"):
    return connection.execute(f'SELECT count(*) FROM "{SCHEMA}".{table}').fetchone()[0]


def values_of(connection, topic, key=None):
    reader = consumer(connection, group="reading", **{"enable.partition.eof": True})
    client = admin(connection)
    partitions = len(client.list_topics(topic, timeout=30).topics[topic].partitions)
    reader.assign([TopicPartition(topic, partition, 0) for partition in range(partitions)])
    values, ended = [], set()
    deadline = time.monotonic() + DEADLINE_S
    while len(ended) < partitions:
        assert time.monotonic() < deadline
        for message in reader.consume(5_000, timeout=1):
            if message.error() is not None:
                ended.add(message.partition())
            elif key is None or message.key() == key:
                values.append(message.value())
    reader.close()
    return values


def events_of(connection, record_type):
    values = values_of(connection, records_topic(record_type.id))
    schema_id = int.from_bytes(values[0][1:5])
    decoded = Decoder(schema_id, event_schema(record_type)).decode(values)
    assert decoded.malformed == []
    return decoded.frame.sort("sequence")


def test_what_is_committed_is_relayed_and_leaves_the_outbox(outbox, database_url, kafka, deed):
    body = {"number": "7", "area": 80, "share": 0.5, "issued_on": "2020-02-29", "tags": ["یک", ""]}
    write(outbox, deed, 7, body=body, under_investigation=["area"], recorded_at=START)
    (first,) = outbox.execute(f'SELECT event_id FROM "{SCHEMA}".changes').fetchone()
    undone = {"previous_event_id": first, "record_key": "7"}
    write(outbox, deed, 7, change_kind="annulled", body=None, recorded_at=START, **undone)

    with relaying(database_url, [deed], kafka):
        wait_until(lambda: count(outbox) == 0)

    created, annulled = events_of(kafka, deed).to_dicts()
    assert UUID(bytes=created["event_id"]) == first
    assert first.version == 7
    assert created["subject"] == PSEUDONYMIZER.subject(person(7)).bytes
    assert (created["source"], created["sequence"]) == (f"{deed.id}/outbox", 1)
    assert (created["record_key"], created["change_kind"]) == ("7", 0)
    assert (created["effective_from"], created["recorded_at"]) == (START + timedelta(days=7), START)
    assert created["under_investigation"] == ["area"]
    assert (created["share"], created["issued_on"], created["tags"]) == (0.5, date(2020, 2, 29), ["یک", ""])
    assert (annulled["sequence"], annulled["change_kind"], annulled["previous_event_id"]) == (2, 3, first.bytes)
    assert annulled["has_body"] is False
    assert count(outbox, "promises") == 0


def test_no_change_is_taken_before_an_older_transaction_ends(outbox, database_url, kafka, deed):
    with psycopg.connect(database_url) as slow:
        write(slow, deed, 1)
        write(outbox, deed, 2)
        with relaying(database_url, [deed], kafka) as relay:
            write(outbox, deed, 3)
            assert relay.relayed == 0
            slow.commit()
            wait_until(lambda: count(outbox) == 0)

    assert events_of(kafka, deed)["record_key"].to_list() == ["1", "2", "3"]


def test_racing_writers_lose_nothing_double_nothing_and_keep_the_order_of_transactions(
    outbox, database_url, kafka, deed
):
    written = []

    def writing(writer):
        chance = random.Random(writer)
        with psycopg.connect(database_url) as connection:
            for turn in range(40):
                numbers = [writer * 10_000 + turn * 10 + place for place in range(chance.randint(1, 4))]
                for number in numbers:
                    write(connection, deed, number)
                    time.sleep(chance.uniform(0, 0.004))
                if chance.random() < 0.2:
                    connection.rollback()
                else:
                    connection.commit()
                    written.extend(map(str, numbers))

    writers = [threading.Thread(target=writing, args=(writer,)) for writer in range(6)]
    with relaying(database_url, [deed], kafka):
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join()
        wait_until(lambda: count(outbox) == 0)

    events = events_of(kafka, deed)
    assert events["sequence"].to_list() == list(range(1, len(written) + 1))
    assert sorted(events["record_key"].to_list()) == sorted(written)


def test_transactions_are_taken_in_the_order_of_their_numbers(outbox, database_url, kafka, deed):
    for number, xid in enumerate(["100", "99", "9", "10"]):
        write(outbox, deed, number, xid=xid)

    with relaying(database_url, [deed], kafka):
        wait_until(lambda: count(outbox) == 0)

    assert events_of(kafka, deed)["record_key"].to_list() == ["2", "3", "1", "0"]


def test_a_change_that_is_refused_moves_aside_and_the_others_go_on(outbox, database_url, kafka, deed):
    write(outbox, deed, 1)
    write(outbox, deed, 2, national_id="0499370898")
    write(outbox, deed, 3, body={"number": "3", "area": 0, "tags": []})
    write(outbox, deed, 4, body={"number": "4", "area": "80", "tags": []})
    write(outbox, deed, 5, body={"number": "5", "area": 80, "tags": [], "colour": "red"})
    write(outbox, deed, 6, body={"number": "6", "tags": []})
    write(outbox, deed, 7, effective_to="-infinity")
    write(outbox, deed, 8, record_type="some-agency.unknown")
    write(outbox, deed, 9, body={"number": "9", "area": 1, "tags": [], "issued_on": "soon"})
    write(outbox, deed, 10)
    outbox.execute(f"UPDATE \"{SCHEMA}\".changes SET body = '[1]' WHERE body->>'number' = '7'")

    with relaying(database_url, [deed], kafka) as relay:
        wait_until(lambda: count(outbox) == 0)

    refused = outbox.execute(f'SELECT number, field, reason, rule FROM "{SCHEMA}".refused ORDER BY number').fetchall()
    assert refused == [
        (2, "national_id", "invalid-national-id", ""),
        (3, "area", "quality-rule", "area-positive"),
        (4, "area", "invalid-field", ""),
        (5, "colour", "invalid-field", ""),
        (6, "area", "invalid-field", ""),
        (7, "body", "invalid-field", ""),
        (8, "record_type", "invalid-field", ""),
        (9, "issued_on", "invalid-field", ""),
    ]
    assert (relay.relayed, relay.refused) == (2, 8)
    assert events_of(kafka, deed)["record_key"].to_list() == ["1", "10"]


def test_a_corrected_change_may_be_written_anew(outbox, database_url, kafka, deed):
    write(outbox, deed, 1, national_id="x")
    again = (
        f'WITH gone AS (DELETE FROM "{SCHEMA}".refused RETURNING *)'
        f' INSERT INTO "{SCHEMA}".changes (event_id, record_type, national_id, effective_from, body)'
        " SELECT event_id, record_type, %s, effective_from, body FROM gone"
    )

    with relaying(database_url, [deed], kafka):
        wait_until(lambda: count(outbox, "refused") == 1)
        outbox.execute(again, (person(1),))
        wait_until(lambda: count(outbox) == 0)

    assert events_of(kafka, deed).height == 1


def test_one_outbox_serves_several_record_types_each_with_its_own_sequence(outbox, database_url, kafka, deed):
    other = replace(deed, id=f"{deed.id}-other")
    create_topics(kafka, [other])
    for number in range(10):
        write(outbox, deed if number % 2 else other, number)

    with relaying(database_url, [deed, other], kafka):
        wait_until(lambda: count(outbox) == 0)

    assert [events_of(kafka, one)["sequence"].to_list() for one in (deed, other)] == [[1, 2, 3, 4, 5]] * 2


def test_a_heartbeat_tells_the_last_sequence_also_when_nothing_changes(outbox, database_url, kafka, deed):
    heart = Heart(kafka=kafka, registry=InMemorySchemaRegistry())
    source = f"{deed.id}/outbox"

    def beat(last_sequences, until):
        for last in last_sequences.values():
            heart.beat(deed, source=source, last_sequence=last, complete_until=until)

    write(outbox, deed, 1)
    began = datetime.now(UTC)
    with relaying(database_url, [deed], kafka, on_complete=beat):
        wait_until(lambda: any(beat.last_sequence == 1 for beat in heartbeats(kafka, source)))
    with relaying(database_url, [deed], kafka, on_complete=beat):
        known = len(heartbeats(kafka, source))
        write(outbox, deed, 2)
        wait_until(lambda: len(heartbeats(kafka, source)) > known)
    heart.close()

    said = heartbeats(kafka, source)[0]
    assert said.record_type == deed.id
    assert began < said.complete_until < datetime.now(UTC)


def heartbeats(kafka, source):
    return [decode_heartbeat(value) for value in values_of(kafka, SOURCE_HEARTBEATS, source.encode())]


def test_the_statements_for_an_outbox_may_be_run_again(outbox, deed):
    write(outbox, deed, 1)

    outbox.execute(outbox_ddl(SCHEMA))

    assert count(outbox) == 1


def test_a_database_without_an_outbox_is_told(database_url, kafka, deed):
    with pytest.raises(NoOutboxError, match="--ddl"):
        relay_of(database_url, [deed], kafka).run(threading.Event())


RELAYING = """
import sys, threading
sys.path.insert(0, sys.argv[1])
from dataclasses import replace
from test_publisher_outbox import DEED, relay_of
from bus.kafka import kafka_connection
_, _, database_url, bootstrap, record_type = sys.argv
relay = relay_of(database_url, [replace(DEED, id=record_type)], kafka_connection(bootstrap))
print("open", flush=True)
relay.run(threading.Event())
"""


@contextmanager
def relay_process(database_url, kafka, record_type):
    here = str(Path(__file__).parent)
    words = [here, database_url, kafka["bootstrap.servers"], record_type.id]
    child = subprocess.Popen([sys.executable, "-c", RELAYING, *words], stdout=subprocess.PIPE)
    try:
        assert any(line == b"open\n" for line in child.stdout)
        yield child
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait()
        child.stdout.close()


def test_of_two_relays_one_works_and_the_other_takes_over(outbox, database_url, kafka, deed):
    with relay_process(database_url, kafka, deed) as first:
        write(outbox, deed, 1)
        wait_until(lambda: count(outbox) == 0)
        with relay_process(database_url, kafka, deed):
            write(outbox, deed, 2)
            wait_until(lambda: count(outbox) == 0)
            first.send_signal(signal.SIGKILL)
            write(outbox, deed, 3)
            wait_until(lambda: count(outbox) == 0)

    events = events_of(kafka, deed)
    assert events["sequence"].to_list() == [1, 2, 3]
    assert events["record_key"].to_list() == ["1", "2", "3"]


STEPS = (
    "relay.leading",
    "relay.drained",
    "relay.promising",
    "publisher.promised",
    "publisher.flown",
    "relay.published",
    "relay.refusing",
    "publisher.landed",
    "relay.settling",
)
KILLS = 20
REFUSED_EVERY = 30  # of the changes that the application writes


class Forked:
    """Relays that are forked ready."""

    def __init__(self, server):
        self._server = server

    def start(self, steps=""):
        print(steps, file=self._server.stdin, flush=True)
        return int(self._server.stdout.readline())

    def ended(self):
        """How the relay that was started last ended; waits for it."""
        return int(self._server.stdout.readline())


@contextmanager
def forked_relays(database_url, kafka, record_type):
    words = [str(Path(__file__).parent), database_url, kafka["bootstrap.servers"], record_type.id]
    server = subprocess.Popen(
        [sys.executable, SUPPORT / "forked_relay.py", *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        encoding="utf-8",
    )
    with server:
        yield Forked(server)
        server.stdin.close()


@contextmanager
def writing(database_url, record_type):
    """An application that writes and writes; yields what it has committed, and what of it is to be refused."""
    must_end = threading.Event()
    good, bad = [], []

    def write_on():
        chance = random.Random(7)
        with psycopg.connect(database_url) as connection:
            for start in count_from(0, 10):
                if must_end.is_set():
                    return
                some = range(start, start + 10)
                for number in some:
                    body = {"number": f"{number}", "area": 0 if number % REFUSED_EVERY == 0 else 80, "tags": []}
                    write(connection, record_type, number, body=body)
                if chance.random() < 0.1:
                    connection.rollback()
                else:
                    connection.commit()
                    good.extend(number for number in some if number % REFUSED_EVERY)
                    bad.extend(number for number in some if number % REFUSED_EVERY == 0)
                time.sleep(0.005)

    writer = threading.Thread(target=write_on)
    writer.start()
    try:
        yield good, bad
    finally:
        must_end.set()
        writer.join()


def test_twenty_relays_killed_at_their_steps_and_at_random_points_lose_and_double_nothing(
    outbox, database_url, kafka, deed
):
    chance = random.Random(5)
    with writing(database_url, deed) as (good, bad), forked_relays(database_url, kafka, deed) as relays:
        for step in STEPS:
            occurrence = 1 if step == "relay.leading" else chance.randint(1, 3)
            relays.start(f"{step}={occurrence}")
            assert relays.ended() == EXIT_CODE, step
        for _ in range(KILLS - len(STEPS)):
            relay = relays.start()
            time.sleep(chance.uniform(0.1, 1.0))
            os.kill(relay, signal.SIGKILL)
            assert relays.ended() == -signal.SIGKILL
    with relaying(database_url, [deed], kafka):
        wait_until(lambda: count(outbox) == 0)

    assert_log_is(kafka, deed, good)
    refused = outbox.execute(f"SELECT body->>'number' FROM \"{SCHEMA}\".refused").fetchall()
    assert sorted(int(number) for (number,) in refused) == bad
    wait_until(lambda: count(outbox, "promises") == 0)


def assert_log_is(kafka, deed, numbers):
    """Each change that was committed is one event of the log, in its order and with its content, and no other is."""
    events = events_of(kafka, deed)
    assert events["sequence"].to_list() == list(range(1, len(numbers) + 1))
    assert events["event_id"].n_unique() == len(numbers)
    assert events.select("record_key", "number", "area", "subject", "effective_from").rows() == [
        (f"{one}", f"{one}", 80, PSEUDONYMIZER.subject(person(one)).bytes, START + timedelta(days=one % 100))
        for one in numbers
    ]


@pytest.mark.local_stack
def test_a_dead_broker_keeps_the_changes(outbox, database_url, deed, tmp_path):
    broker = Broker(tmp_path / "kafka", BrokerPorts(client=free_port(), controller=free_port()))
    broker.start()
    try:
        connection = kafka_connection(broker.bootstrap)
        create_topics(connection, [deed])
        with relaying(database_url, [deed], connection):
            write(outbox, deed, 1)
            wait_until(lambda: count(outbox) == 0)
            broker.kill()
            write(outbox, deed, 2)
            wait_until(lambda: count(outbox, "promises") == 1)
            kept = count(outbox)
            broker.start()
            wait_until(lambda: count(outbox) == 0)
        assert kept == 1
        assert events_of(connection, deed)["sequence"].to_list() == [1, 2]
    finally:
        broker.kill()


def test_a_database_that_goes_away_is_waited_for(outbox, database_url, kafka, deed):
    ending = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    with relaying(database_url, [deed], kafka):
        for number in range(3):
            write(outbox, deed, number)
            wait_until(lambda: count(outbox) == 0)
            outbox.execute(ending)
        write(outbox, deed, 3)
        wait_until(lambda: count(outbox) == 0)

    assert events_of(kafka, deed)["sequence"].to_list() == [1, 2, 3, 4]


def yekbar(*words, **environment):
    return subprocess.Popen(
        [sys.executable, "-m", "deploy.cli.main", "relay", *words],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )


def test_the_command_prints_the_statements_and_relays_until_it_is_told_to_stop(
    stack, database_url, schema_registry_url
):
    record_type = load_catalogue(None).record_types["post.registered-address"]
    create_topics(kafka_connection(stack.endpoints.kafka_bootstrap), [record_type])
    name = f"outbox-{uuid4().hex[:8]}"
    statements, _ = yekbar("--ddl", "--schema", SCHEMA).communicate(timeout=DEADLINE_S)
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(statements)
        body = {"postal_code": "1000000000", "province": "تهران", "city": "ری"}
        write(connection, record_type, 1, body=body)

        running = yekbar(
            *(database_url, "--schema", SCHEMA, "--name", name, "--json"),
            KAFKA_BOOTSTRAP=stack.endpoints.kafka_bootstrap,
            DATABASE_URL=stack.endpoints.database_url,
            SCHEMA_REGISTRY_URL=schema_registry_url,
            YEKBAR_DOMAIN_KEY=stack.endpoints.domain_key,
        )
        wait_until(lambda: count(connection) == 0 or running.poll() is not None)
        running.send_signal(signal.SIGTERM)
        told, log = running.communicate(timeout=DEADLINE_S)

    assert running.returncode == 0, log
    assert json.loads(told) == {"relayed": 1, "refused": 0}


def test_the_command_without_a_database_says_what_to_do():
    _, told = yekbar(OUTBOX_DATABASE_URL="").communicate(timeout=DEADLINE_S)

    assert "OUTBOX_DATABASE_URL" in told
    assert "Traceback" not in told
