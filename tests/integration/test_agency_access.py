import json
import stat
import subprocess
import sys
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition

from bus.client_file import CLIENT_FILE
from bus.envelope import ChangeKind
from bus.errors import BusError
from bus.heartbeats import Heartbeat, encode_heartbeat
from bus.kafka import admin, consumer, kafka_connection, producer
from bus.principals import admit
from bus.subject import Pseudonymizer
from bus.topics import SOURCE_HEARTBEATS, quarantine_topic, records_topic
from deploy.provision import create_topics
from producers.change import Change
from producers.journal import MemoryJournal
from producers.publisher import Publisher
from registry.catalogue import load_catalogue
from registry.client import InMemorySchemaRegistry

pytestmark = pytest.mark.local_stack

OWN, OTHER = "post.registered-address", "welfare.benefit"
WAIT_S = 30
NOT_AUTHORIZED = {KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.GROUP_AUTHORIZATION_FAILED}


@pytest.fixture(scope="module")
def settings(stack, tmp_path_factory):
    """The settings of the platform, over a stack whose topics are there."""
    types = load_catalogue(None).record_types
    create_topics(kafka_connection(stack.endpoints.kafka_bootstrap), [types[OWN], types[OTHER]])
    return {
        "KAFKA_BOOTSTRAP": stack.endpoints.kafka_bootstrap,
        "DATABASE_URL": stack.endpoints.database_url,
        "SCHEMA_REGISTRY_URL": "http://127.0.0.1:1",
        "YEKBAR_DOMAIN_KEY": stack.endpoints.domain_key,
        "YEKBAR_MODE": "development",
        "YEKBAR_DATA": str(tmp_path_factory.mktemp("nowhere")),
        CLIENT_FILE: stack.endpoints.kafka_client_file,
    }


@pytest.fixture(scope="module")
def yekbar(settings):
    def run(*words):
        command = [sys.executable, "-m", "deploy.cli.main", "agency", *map(str, words)]
        return subprocess.run(command, env=settings, capture_output=True, encoding="utf-8", timeout=60, check=False)

    return run


@pytest.fixture(scope="module")
def file(yekbar, tmp_path_factory):
    place = tmp_path_factory.mktemp("post") / "post.properties"
    done = yekbar("add", "post", "--file", place, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"agency": "post", "file": str(place)}
    yield place
    yekbar("remove", "post")


@pytest.fixture
def post(settings, file):
    """The agency's own connection."""
    return {**kafka_connection(settings["KAFKA_BOOTSTRAP"], {CLIENT_FILE: str(file)}), "log_level": 0}


@pytest.fixture
def platform(settings):
    return kafka_connection(settings["KAFKA_BOOTSTRAP"], settings)


def refusal(connection, topic):
    """The error that a message to a topic meets; None where the log takes it."""
    told = []
    client = Producer({**connection, "acks": "all", "enable.idempotence": True, "message.timeout.ms": WAIT_S * 1000})
    client.produce(topic, b"word", key=b"key", on_delivery=lambda error, _: told.append(error))
    client.flush(WAIT_S)
    return told[0] and told[0].code()


def read(connection, topic, group):
    reader = Consumer({**connection, "group.id": group, "auto.offset.reset": "earliest"})
    try:
        reader.assign([TopicPartition(topic, number, 0) for number in range(4)])
        while (message := reader.poll(WAIT_S)) is not None:
            if message.error() is None:
                return None
            if message.error().code() in NOT_AUTHORIZED:
                return message.error().code()
        return "nothing came"
    finally:
        reader.close()


def test_the_password_is_for_its_owners_eyes_and_was_on_no_terminal(file, yekbar):
    again = yekbar("add", "post", "--file", file.with_name("again"))

    password = dict(line.split("=", 1) for line in file.read_text().splitlines())["sasl.password"]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert again.returncode == 2
    assert "rotate" in again.stderr
    assert not file.with_name("again").exists()
    assert password not in again.stderr + yekbar("list").stdout


def test_an_agency_writes_its_own_topics_and_heartbeats_and_reads_its_own(post):
    client = producer(post)
    beat = Heartbeat(source=f"{OWN}/x", record_type=OWN, last_sequence=1, complete_until=datetime.now(UTC))
    told = []
    client.produce(
        SOURCE_HEARTBEATS, encode_heartbeat(beat, 1), key=b"x", on_delivery=lambda error, _: told.append(error)
    )
    client.flush(WAIT_S)

    assert told == [None]
    assert refusal(post, records_topic(OWN)) is None
    assert read(post, records_topic(OWN), "post.reader") is None


def publish(kafka, record_type):
    """One change by the publisher, and how many of them the log has taken."""
    catalogue = load_catalogue(None)
    with Publisher(
        catalogue.record_types[record_type],
        source=f"{record_type}/test",
        kafka=kafka,
        registry=InMemorySchemaRegistry(),
        pseudonymizer=Pseudonymizer(b"k" * 32, catalogue.national_id_scheme),
        journal=MemoryJournal(),
    ) as publisher:
        body = {"postal_code": "7134567890", "province": "فارس", "city": "شیراز"}
        now = datetime.now(UTC)
        publisher.publish(
            Change(
                national_id="0012345679",
                change_kind=ChangeKind.CREATED,
                effective_from=now,
                recorded_at=now,
                body=body,
            )
        )
        publisher.flush()
        return publisher.counts.acknowledged


def test_an_agency_publishes_with_the_publisher_as_it_is(post):
    assert publish(post, OWN) == 1


@pytest.mark.parametrize(
    "topic", [records_topic(OTHER), quarantine_topic(OWN), quarantine_topic(OTHER), "__consumer_offsets"]
)
def test_an_agency_writes_nothing_else(post, topic):
    assert refusal(post, topic) == KafkaError.TOPIC_AUTHORIZATION_FAILED


@pytest.mark.parametrize("topic", [records_topic(OTHER), quarantine_topic(OTHER), SOURCE_HEARTBEATS])
def test_an_agency_reads_nothing_of_others(post, platform, topic):
    assert refusal(platform, topic) is None

    seen = admin(post).list_topics(topic, timeout=WAIT_S).topics[topic].error
    assert (seen.code() if seen else read(post, topic, "post.reader")) == KafkaError.TOPIC_AUTHORIZATION_FAILED


def test_an_agency_joins_no_group_of_others(post):
    reader = consumer(post, group="yekbar-materializer")
    reader.subscribe([records_topic(OWN)])
    message = reader.poll(WAIT_S)
    reader.close()

    assert message.error().code() == KafkaError.GROUP_AUTHORIZATION_FAILED


def test_an_agency_makes_no_topics_rules_or_names(post):
    record_type = load_catalogue(None).record_types["welfare.household-decile"]

    with pytest.raises(BusError, match="did not allow"):
        create_topics(post, [record_type])
    with pytest.raises(BusError, match="did not allow"):
        admit(admin(post), "welfare", "a password of ours")


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "SCRAM-SHA-512", "sasl.username": "post"},
        {"security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "SCRAM-SHA-512", "sasl.username": "nobody"},
        {"security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "PLAIN", "sasl.username": "controller"},
    ],
)
@pytest.mark.usefixtures("file")
def test_nobody_gets_in_without_a_name_and_its_password(settings, said):
    connection = {**kafka_connection(settings["KAFKA_BOOTSTRAP"], {}), **said, "log_level": 0}
    if said:
        connection["sasl.password"] = uuid4().hex

    with pytest.raises(KafkaException):
        admin(connection).list_topics(timeout=3)


def test_a_new_password_takes_the_old_ones_place_and_a_removed_agency_is_out_at_once(yekbar, settings, tmp_path):
    def connection(place):
        return {**kafka_connection(settings["KAFKA_BOOTSTRAP"], {CLIENT_FILE: str(place)}), "log_level": 0}

    tax, newer = tmp_path / "tax.properties", tmp_path / "newer.properties"
    assert yekbar("add", "tax-administration", "--file", tax).returncode == 0
    assert yekbar("rotate", "tax-administration", "--file", newer).returncode == 0
    with pytest.raises(KafkaException):
        admin(connection(tax)).list_topics(timeout=3)
    connected = admin(connection(newer))
    connected.list_topics(timeout=WAIT_S)
    listed = {one["name"]: one["rules"] for one in json.loads(yekbar("list", "--json").stdout)}
    assert "write topic records.tax-administration.*" in listed["tax-administration"]

    assert yekbar("remove", "tax-administration").returncode == 0

    assert connected.list_topics(timeout=WAIT_S).topics == {}
    assert "tax-administration" not in {one["name"] for one in json.loads(yekbar("list", "--json").stdout)}
    assert yekbar("remove", "tax-administration").returncode == 2
