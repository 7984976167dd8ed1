import stat

import psycopg
import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from bus.client_file import read_client_file
from bus.kafka import kafka_connection
from deploy.local.class_archive import ClassArchive
from deploy.local.errors import StackError
from deploy.local.jars import jar_folder
from deploy.local.kafka import Broker, BrokerPorts
from deploy.local.process import free_port
from deploy.local.stack import Stack

TOPIC = "kept"


def send(bootstrap, value):
    admin = AdminClient(dict(kafka_connection(bootstrap)))
    for made in admin.create_topics([NewTopic(TOPIC, 1, 1)]).values():
        made.result(30)
    producer = Producer({**kafka_connection(bootstrap), "acks": "all", "enable.idempotence": True})
    producer.produce(TOPIC, value)
    assert producer.flush(30) == 0


def receive(bootstrap):
    consumer = Consumer({**kafka_connection(bootstrap), "group.id": "reader"})
    consumer.assign([TopicPartition(TOPIC, 0, 0)])
    message = consumer.poll(30)
    consumer.close()
    return message.value()


@pytest.mark.local_stack
def test_a_message_and_a_row_outlive_a_crash_of_both_parts(data_folder):
    with Stack(data_folder) as stack:
        first = stack.endpoints
        send(first.kafka_bootstrap, "یک‌بار".encode())
        with psycopg.connect(first.database_url) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 'یک‌بار' AS word")
        stack.broker.kill()
        stack.postgres.kill()

    with Stack(data_folder) as stack:
        assert stack.endpoints == first
        assert receive(first.kafka_bootstrap).decode() == "یک‌بار"
        with psycopg.connect(first.database_url) as connection:
            assert connection.execute("SELECT word FROM kept").fetchall() == [("یک‌بار",)]
    assert not stack.broker.is_running
    assert not stack.postgres.is_running


@pytest.mark.local_stack
def test_what_opens_the_broker_is_for_its_owner_only_and_in_no_log(stack):
    folder = stack.folder / "kafka"
    secrets = [folder / name for name in ("platform.properties", "kcat.properties", "server.properties")]
    password = read_client_file(secrets[0])["sasl.password"]

    assert {stat.S_IMODE(place.stat().st_mode) for place in secrets} == {0o600}
    assert all(password in place.read_text() for place in secrets)
    assert password not in (folder / "broker.log").read_text()
    assert not (folder / "format.arguments").exists()


@pytest.mark.local_stack
def test_a_part_that_cannot_start_is_reported_with_its_last_log_lines(stack, data_folder):
    taken = int(stack.endpoints.kafka_bootstrap.rpartition(":")[2])

    with pytest.raises(StackError, match=r"(?s)Kafka broker ended with code.*in use"):
        Broker(data_folder / "kafka", BrokerPorts(client=taken, controller=free_port())).start()


def test_each_test_has_a_database_of_its_own(database_url):
    with psycopg.connect(database_url) as connection:
        tables = connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone()

    assert tables == (0,)


@pytest.mark.local_stack
def test_a_broker_starts_without_a_class_archive_that_no_java_can_use(data_folder, monkeypatch, tmp_path):
    jars = jar_folder()
    monkeypatch.setenv("YEKBAR_CACHE", str(tmp_path))
    (tmp_path / "kafka").symlink_to(jars)
    broker = Broker(data_folder, BrokerPorts(client=free_port(), controller=free_port()))
    monkeypatch.setattr(ClassArchive, "make_from", lambda self, _: self._place.write_bytes(b"no archive"))
    broker.start()  # leaves what no Java can use
    broker.stop()

    broker.start()

    assert broker.is_running
    broker.stop()
