import json
import random
import secrets
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from uuid import UUID, uuid4

import polars as pl
import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.serialization import MessageField, SerializationContext
from structlog.testing import capture_logs

from bus.columns import Decoder
from bus.envelope import ChangeKind
from bus.errors import RefusedError
from bus.kafka import admin, consumer, kafka_connection
from bus.subject import Pseudonymizer
from bus.topics import records_topic
from deploy.local.kafka import Broker, BrokerPorts
from deploy.local.process import free_port
from deploy.provision import create_topics
from producers.change import Change
from producers.errors import (
    ClosedError,
    DeliveryError,
    DivergedError,
    SourceBusyError,
    TopicMissingError,
    WrongJournalError,
)
from producers.journal import MemoryJournal
from producers.journal_file import SqliteJournal
from producers.preparation import VALUE_BYTES_MAX
from producers.publisher import Publisher
from registry.client import InMemorySchemaRegistry
from registry.composition import event_schema
from registry.contracts import QualityRule, RecordType, Severity

SOURCE = "some-agency/outbox-1"
START = datetime(2020, 1, 1, tzinfo=UTC)
PERSONS = ["0499370899", "0013542419", "0084575948", "0790419904"]
PSEUDONYMIZER = Pseudonymizer(bytes(32), "iran")
FIELDS = [
    {"name": "number", "type": "string"},
    {"name": "area", "type": "int"},
    {"name": "issued_on", "type": ["null", {"type": "int", "logicalType": "date"}], "default": None},
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


@pytest.fixture
def deed():
    """A record type of its own for each test: the topics of a run are shared."""
    return replace(DEED, id=f"some-agency.deed-{uuid4().hex[:12]}")


@pytest.fixture
def kafka(stack, deed):
    connection = kafka_connection(stack.endpoints.kafka_bootstrap)
    create_topics(connection, [deed])
    return connection


@pytest.fixture
def publishing(kafka, deed):
    """Opens publishers over one registry; each call may name its journal and source."""
    shared = InMemorySchemaRegistry()

    def opened(journal, *, source=SOURCE, record_type=deed, registry=shared, **options):
        return Publisher(
            record_type,
            source=source,
            kafka=kafka,
            registry=registry,
            pseudonymizer=PSEUDONYMIZER,
            journal=journal,
            **options,
        )

    return opened


def change(number, **changes):
    said = Change(
        national_id=PERSONS[number % len(PERSONS)],
        change_kind=ChangeKind.CREATED,
        effective_from=START + timedelta(days=number % 1000),
        recorded_at=START + timedelta(seconds=number),
        record_key=f"{number}",
        body={"number": f"{number}", "area": 80, "issued_on": date(2020, 1, 1)},
    )
    return replace(said, **changes)


def messages_of(connection, record_type):
    """All messages of a record type's topic, read to its end."""
    topic = records_topic(record_type.id)
    reader = consumer(connection, group="reading", **{"enable.partition.eof": True})
    partitions = len(admin(connection).list_topics(topic, timeout=30).topics[topic].partitions)
    reader.assign([TopicPartition(topic, partition, 0) for partition in range(partitions)])
    found, ended = [], set()
    deadline = time.monotonic() + 60
    while len(ended) < partitions:
        assert time.monotonic() < deadline
        for message in reader.consume(1000, timeout=1):
            if message.error() is None:
                found.append(message)
            else:
                ended.add(message.partition())
    reader.close()
    return found


def events_of(connection, record_type):
    decoded = Decoder(1, event_schema(record_type)).decode([m.value() for m in messages_of(connection, record_type)])
    assert decoded.malformed == []
    return decoded.frame.sort("sequence")


def frame_of(numbers, **columns):
    rows = [change(number) for number in numbers]
    frame = pl.DataFrame(
        {
            "national_id": [one.national_id for one in rows],
            "change_kind": ["created" for _ in rows],
            "effective_from": [one.effective_from for one in rows],
            "number": [one.record_key for one in rows],
            "area": pl.Series([80 for _ in rows], dtype=pl.Int32),
        }
    )
    return frame.with_columns(**columns)


class StockRegistry:
    """The one call that a publisher makes, through the stock client of the Confluent Schema Registry."""

    def __init__(self, client):
        self._client = client

    def register(self, subject_name, schema):
        return self._client.register_schema(subject_name, Schema(json.dumps(schema), "AVRO"))


def test_what_is_published_is_on_the_topic_as_any_client_expects_it(publishing, kafka, deed, schema_registry_url):
    with SchemaRegistryClient({"url": schema_registry_url}) as client:
        with publishing(MemoryJournal(), registry=StockRegistry(client)) as publisher:
            event_id = publisher.publish(change(1))
        (message,) = messages_of(kafka, deed)
        context = SerializationContext(message.topic(), MessageField.VALUE)
        event = AvroDeserializer(client)(message.value(), context)

    subject = PSEUDONYMIZER.subject(change(1).national_id)
    assert message.key() == subject.bytes
    assert message.headers() is None
    assert UUID(bytes=event["event_id"]) == event_id
    assert (event["source"], event["sequence"], event["subject"]) == (SOURCE, 1, subject.bytes)
    assert event["body"] == {"number": "1", "area": 80, "issued_on": date(2020, 1, 1)}
    assert event["effective_from"] == change(1).effective_from


def test_sequences_are_dense_from_one_and_go_on_in_the_next_life(publishing, kafka, deed, tmp_path):
    for life in range(3):
        with publishing(SqliteJournal(tmp_path / "a.journal")) as publisher:
            for number in range(10):
                publisher.publish(change(10 * life + number))

    events = events_of(kafka, deed)
    assert events["sequence"].to_list() == list(range(1, 31))
    assert events["record_key"].to_list() == [f"{number}" for number in range(30)]


def test_a_refused_change_takes_no_sequence_and_counts(publishing, kafka, deed):
    with publishing(MemoryJournal()) as publisher:
        publisher.publish(change(0))
        with pytest.raises(RefusedError, match="'national_id'"):
            publisher.publish(change(1, national_id="0499370898"))
        with pytest.raises(RefusedError, match="area-positive"):
            publisher.publish(change(2, body={"number": "2", "area": -1}))
        publisher.publish(change(3))
        publisher.flush()
        counts = publisher.counts

    assert (counts.accepted, counts.refused, counts.acknowledged) == (2, 2, 2)
    assert events_of(kafka, deed)["sequence"].to_list() == [1, 2]


def test_many_changes_at_once_are_told_apart_one_by_one(publishing, kafka, deed):
    some = [
        change(0),
        change(1, national_id="x"),
        change(2, body={"number": "2", "area": 0}),
        change(3, event_id=UUID(int=9)),
    ]

    with publishing(MemoryJournal()) as publisher:
        results = publisher.publish_all(some)

    events = events_of(kafka, deed)
    assert [isinstance(result, UUID) for result in results] == [True, False, False, True]
    assert [result.field for result in results[1:3]] == ["national_id", "area"]
    assert [UUID(bytes=event_id) for event_id in events["event_id"]] == [results[0], UUID(int=9)]


def test_each_delivery_is_told_by_its_id(publishing):
    delivered = []

    with publishing(MemoryJournal(), on_delivered=delivered.extend) as publisher:
        ids = [publisher.publish(change(number)) for number in range(50)]
        publisher.flush()

    assert delivered == ids


def test_what_nobody_waits_for_is_sent_all_the_same(publishing):
    delivered = []

    with publishing(MemoryJournal(), on_delivered=delivered.extend) as publisher:
        event_id = publisher.publish(change(1))
        deadline = time.monotonic() + 30
        while not delivered and time.monotonic() < deadline:
            time.sleep(0.01)
        found = list(delivered)

    assert found == [event_id]


def test_one_persons_events_are_in_one_partition_the_one_of_every_java_client(publishing, kafka, deed):
    with publishing(MemoryJournal()) as publisher:
        publisher.publish_all([change(number) for number in range(200)])

    partitions = {(message.key(), message.partition()) for message in messages_of(kafka, deed)}

    assert {(key, (murmur2(key) & 0x7FFFFFFF) % 4) for key, _ in partitions} == partitions


def murmur2(key):
    """The hash of org.apache.kafka.common.utils.Utils.murmur2, as published with Kafka's Java client."""
    mask, m = 0xFFFFFFFF, 0x5BD1E995
    h = (0x9747B28C ^ len(key)) & mask
    whole = len(key) - len(key) % 4
    for place in range(0, whole, 4):
        k = int.from_bytes(key[place : place + 4], "little") * m & mask
        k = (k ^ k >> 24) * m & mask
        h = (h * m & mask) ^ k
    if len(key) % 4:
        h = (h ^ int.from_bytes(key[whole:], "little")) * m & mask
    h = (h ^ h >> 13) * m & mask
    return h ^ h >> 15


@pytest.mark.parametrize(
    ("text", "hashed"), [(b"21", -973932308), (b"foobar", -790332482), (b"a-little-bit-long-string", -985981536)]
)
def test_the_hash_that_we_compare_with_is_the_java_clients(text, hashed):
    assert murmur2(text) == hashed & 0xFFFFFFFF  # vectors of Kafka's own UtilsTest.testMurmur2


def test_a_frame_is_published_in_columns_and_a_second_time_not_at_all(publishing, kafka, deed, tmp_path):
    outcomes = []
    for _ in range(2):
        with publishing(SqliteJournal(tmp_path / "a.journal")) as publisher:
            outcomes.append(publisher.publish_columns(frame_of(range(25_000))))

    assert [(outcome.published, outcome.repeated) for outcome in outcomes] == [(25_000, 0), (0, 25_000)]
    events = events_of(kafka, deed)
    assert events["sequence"].to_list() == list(range(1, 25_001))
    assert events["record_key"].to_list() == [f"{number}" for number in range(25_000)]
    assert events["event_id"].n_unique() == 25_000


def test_refused_rows_of_a_frame_are_named_and_the_others_go_on(publishing, kafka, deed):
    frame = frame_of(range(10_003))
    bad = frame.with_columns(area=pl.when(pl.int_range(pl.len()).is_in([0, 10_001])).then(-1).otherwise(pl.col("area")))

    with publishing(MemoryJournal()) as publisher:
        outcome = publisher.publish_columns(bad.with_columns(area=pl.col("area").cast(pl.Int32)))

    assert outcome.refused.rows() == [
        (0, "area", "quality-rule", "area-positive"),
        (10_001, "area", "quality-rule", "area-positive"),
    ]
    assert outcome.published == 10_001
    assert events_of(kafka, deed).height == 10_001


def test_a_row_twice_in_a_frame_is_published_once(publishing, kafka, deed):
    with publishing(MemoryJournal()) as publisher:
        outcome = publisher.publish_columns(pl.concat([frame_of([1, 2]), frame_of([1, 3])]))

    assert (outcome.published, outcome.repeated) == (3, 1)
    assert events_of(kafka, deed)["record_key"].to_list() == ["1", "2", "3"]


def test_the_largest_event_passes_and_a_larger_one_is_refused(publishing, kafka, deed):
    def sized(length):
        number = "x" * length
        return change(1, record_key=number, body={"number": number, "area": 1})

    room = VALUE_BYTES_MAX - 400

    with publishing(MemoryJournal()) as publisher:
        publisher.publish(sized(room // 2))
        with pytest.raises(RefusedError) as refused:
            publisher.publish(sized(room // 2 + 400))
        columns = frame_of([1, 2]).with_columns(number=pl.Series(["x" * room, "y" * (room // 2)]))
        outcome = publisher.publish_columns(columns)

    assert refused.value.reason == "oversized"
    assert outcome.refused.rows() == [(0, "body", "oversized", "")]
    assert events_of(kafka, deed).height == 2


def test_a_journal_that_was_lost_is_learnt_from_the_log(publishing, kafka, deed, tmp_path):
    with publishing(SqliteJournal(tmp_path / "lost.journal")) as publisher:
        publisher.publish_columns(frame_of(range(100)))
    with publishing(MemoryJournal(), source="some-agency/other") as publisher:
        publisher.publish(change(1))

    with publishing(SqliteJournal(tmp_path / "new.journal")) as publisher:
        outcome = publisher.publish_columns(frame_of(range(110)))

    assert (outcome.published, outcome.repeated) == (10, 100)
    ours = events_of(kafka, deed).filter(pl.col("source") == SOURCE)
    assert ours["sequence"].to_list() == list(range(1, 111))


def test_two_publishers_may_not_be_one_source(publishing, tmp_path):
    with (
        publishing(SqliteJournal(tmp_path / "a.journal")),
        pytest.raises(SourceBusyError, match="another process publishes as source"),
    ):
        publishing(SqliteJournal(tmp_path / "a.journal"))


class UnsettledJournal(MemoryJournal):
    """A journal as a crash leaves it: promises are sent, and no acknowledgement was ever noted."""

    def settle(self, kept):
        pass


def test_an_event_that_the_log_has_is_not_sent_again(publishing, kafka, deed):
    journal = UnsettledJournal()
    with publishing(journal) as publisher:
        publisher.publish_all([change(number) for number in range(100)])

    with publishing(journal) as publisher:
        publisher.publish(change(100))

    assert events_of(kafka, deed)["sequence"].to_list() == list(range(1, 102))


def test_another_event_under_our_sequence_is_told(publishing):
    journal = UnsettledJournal()
    with publishing(MemoryJournal()) as first, publishing(journal) as second:
        first.publish(change(1))
        first.flush()
        second.publish(change(2))

    with pytest.raises(DivergedError, match="sequence 1"):
        publishing(journal)


def test_a_topic_that_is_not_there_is_told_at_once(publishing, deed):
    missing = replace(deed, id=deed.id + "x")

    with pytest.raises(TopicMissingError, match="catalogue apply"):
        publishing(MemoryJournal(), record_type=missing)


def test_a_topic_that_was_made_anew_is_told(publishing, kafka, deed):
    journal = MemoryJournal()
    with publishing(journal) as publisher:
        publisher.publish(change(1))
    made_again(kafka, deed)

    with pytest.raises(WrongJournalError, match="made anew"):
        publishing(journal)


def made_again(kafka, deed):
    topic = records_topic(deed.id)
    client = admin(kafka)
    client.delete_topics([topic])[topic].result(30)
    deadline = time.monotonic() + 30
    while topic in client.list_topics(timeout=30).topics:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    create_topics(kafka, [deed])


def test_a_closed_publisher_takes_nothing(publishing):
    publisher = publishing(MemoryJournal())
    publisher.close()

    with pytest.raises(ClosedError):
        publisher.publish_all([change(1)])


def test_what_the_broker_refuses_for_good_is_loud_and_stays_in_the_journal(publishing, kafka, deed):
    journal = MemoryJournal()
    topic = records_topic(deed.id)
    limited(kafka, topic, "max.message.bytes", "1000")
    number = secrets.token_hex(5_000)
    large = change(1, record_key=number, body={"number": number, "area": 1})

    publisher = publishing(journal)
    publisher.publish(large)
    with pytest.raises(DeliveryError, match="for good"):
        publisher.close()

    limited(kafka, topic, "max.message.bytes", "1000000")
    with publishing(journal) as publisher:
        publisher.publish(change(2))
    assert events_of(kafka, deed)["sequence"].to_list() == [1, 2]


def limited(kafka, topic, name, value):
    entry = ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
    client = admin(kafka)
    client.incremental_alter_configs([resource])[resource].result(30)


def test_an_error_in_the_block_leaves_at_once_and_the_journal_keeps_the_promise(publishing, kafka, deed, tmp_path):
    def failing():
        with publishing(SqliteJournal(tmp_path / "a.journal")) as publisher:
            publisher.publish(change(1))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        failing()

    with publishing(SqliteJournal(tmp_path / "a.journal")) as publisher:
        publisher.publish(change(2))

    assert events_of(kafka, deed)["record_key"].to_list() == ["1", "2"]


def test_while_the_broker_is_away_a_publisher_waits_loudly_and_then_loses_and_doubles_nothing(deed, tmp_path):
    broker = Broker(tmp_path / "kafka", BrokerPorts(client=free_port(), controller=free_port()))
    broker.start()
    try:
        connection = kafka_connection(broker.bootstrap)
        create_topics(connection, [deed])
        registry = InMemorySchemaRegistry()
        with (
            capture_logs() as logs,
            Publisher(
                deed,
                source=SOURCE,
                kafka=connection,
                registry=registry,
                pseudonymizer=PSEUDONYMIZER,
                journal=SqliteJournal(tmp_path / "a.journal"),
            ) as publisher,
        ):
            publisher.publish_all([change(number) for number in range(5_000)])
            broker.kill()
            publisher.publish_all([change(number) for number in range(5_000, 10_000)])
            deadline = time.monotonic() + 60
            while not any(log["event"] == "broker_awaited" for log in logs):
                assert time.monotonic() < deadline
                time.sleep(0.05)
            broker.start()
            publisher.flush()
            assert publisher.counts.acknowledged == 10_000
        assert events_of(connection, deed)["sequence"].to_list() == list(range(1, 10_001))
    finally:
        broker.kill()


PUBLISHING = """
import json, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from test_publisher import DEED, PSEUDONYMIZER, SOURCE, change
from dataclasses import replace
from bus.kafka import kafka_connection
from producers.journal_file import SqliteJournal
from producers.publisher import Publisher
from registry.client import InMemorySchemaRegistry
_, _, bootstrap, record_type, journal, acknowledged = sys.argv
with open(acknowledged, "a", buffering=1) as told:
    with Publisher(
        replace(DEED, id=record_type), source=SOURCE, kafka=kafka_connection(bootstrap),
        registry=InMemorySchemaRegistry(), pseudonymizer=PSEUDONYMIZER, journal=SqliteJournal(Path(journal)),
        on_delivered=lambda ids: told.write("".join(f"{one}\\n" for one in ids)),
    ) as publisher:
        print("open", flush=True)
        number = 0
        while True:
            publisher.publish_all([change(number + more) for more in range(37)])
            number += 37
"""


def test_a_publisher_killed_at_any_moment_loses_and_doubles_nothing(stack, kafka, deed, publishing, tmp_path):
    acknowledged = tmp_path / "acknowledged"
    here = str(__file__).rpartition("/")[0]
    chance = random.Random(7)
    for _ in range(5):
        arguments = [here, stack.endpoints.kafka_bootstrap, deed.id, tmp_path / "a.journal", acknowledged]
        child = subprocess.Popen([sys.executable, "-c", PUBLISHING, *map(str, arguments)], stdout=subprocess.PIPE)
        assert any(line == b"open\n" for line in child.stdout)
        time.sleep(chance.uniform(0, 0.6))
        child.send_signal(signal.SIGKILL)
        child.wait()
        child.stdout.close()

    with publishing(SqliteJournal(tmp_path / "a.journal")) as publisher:
        publisher.publish(change(1))

    events = events_of(kafka, deed)
    found = Counter(str(UUID(bytes=event_id)) for event_id in events["event_id"])
    told = {line for line in acknowledged.read_text().splitlines() if len(line) == 36}
    assert events["sequence"].to_list() == list(range(1, events.height + 1))
    assert set(found.values()) == {1}
    assert told <= set(found)
    assert len(told) > 100
