"""The real Debezium connector on the real Kafka Connect, over a PostgreSQL that keeps a logical log."""

import random
import time
from datetime import date, timedelta

import psycopg
import pytest
from captured_table import CapturedTable
from kafka_connect import CONVERTER, KafkaConnect
from synced_table import person

from bus.kafka import admin
from deploy.local.errors import StackError
from deploy.local.postgres import Postgres
from deploy.local.process import free_port
from producers.errors import TopicMissingError

pytestmark = pytest.mark.on_demand

TABLE = """
CREATE TABLE addresses (
  id int PRIMARY KEY, national_code text NOT NULL, postal_code text NOT NULL, province text, city text, street text,
  moved_on date NOT NULL
)
"""
PERSONS = 60
DEADLINE_S = 120
START = date(2020, 1, 1)


@pytest.fixture
def agency(data_folder):
    """An agency's own server, whose log a connector may read."""
    server = Postgres(data_folder / "agency", free_port(), {"wal_level": "logical"})
    server.start()
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture
def connect(stack, data_folder):
    worker = KafkaConnect(data_folder / "connect", stack.endpoints.kafka_bootstrap)
    try:
        worker.start()
    except StackError as exc:
        pytest.skip(f"KAFKA CONNECT CANNOT BE FETCHED OR STARTED, so no real connector was tried: {exc}")
    try:
        yield worker
    finally:
        worker.stop()


def connector(agency, prefix):
    _, port = agency.place.split(":")
    return {
        "connector.class": "io.debezium.connector.postgresql.PostgresConnector",
        "database.hostname": "127.0.0.1",
        "database.port": port,
        "database.user": "yekbar",
        "database.password": agency.password,
        "database.dbname": "postgres",
        "topic.prefix": prefix,
        "table.include.list": "public.addresses",
        "plugin.name": "pgoutput",
        "slot.name": prefix.replace("-", "_"),
        "provide.transaction.metadata": "true",
        "topic.creation.default.replication.factor": "1",
        "topic.creation.default.partitions": "1",
        "value.converter": CONVERTER,
        "value.converter.replace.null.with.default": "false",
    }


def act(connection, chance):
    """A transaction as an agency's application makes it."""
    number = chance.randrange(PERSONS)
    row = {
        "id": number,
        "person": person(number),
        "code": str(1_000_000_000 + chance.randrange(1_000)),
        "city": chance.choice(["شیراز", "قم", "یزد"]),
        "moved": START + timedelta(days=chance.randrange(2_000)),
    }
    if chance.random() < 0.15:
        connection.execute("DELETE FROM addresses WHERE id = %(id)s", row)
        return
    connection.execute(
        "INSERT INTO addresses VALUES (%(id)s, %(person)s, %(code)s, 'استان', %(city)s, NULL, %(moved)s)"
        " ON CONFLICT (id) DO UPDATE SET postal_code = excluded.postal_code, city = excluded.city,"
        " moved_on = excluded.moved_on",
        row,
    )


def in_table(table, connection):
    rows = connection.execute("SELECT national_code, postal_code, city, moved_on FROM addresses").fetchall()
    return {table.pseudonymizer.pseudonym(row[0]): row[1:] for row in rows}


def in_log(table):
    return {
        subject: (row["postal_code"], row["city"], row["effective_from"].date())
        for (subject, _), row in table.holds().items()
    }


def capture_until_equal(table, connection, connect, name):
    deadline = time.monotonic() + DEADLINE_S
    while True:
        try:
            table.capture()
        except TopicMissingError:  # until the connector has sent its first row
            time.sleep(0.5)
        assert connect.failures(name) == []
        if in_log(table) == in_table(table, connection):
            return
        assert time.monotonic() < deadline, "what the connector captured does not become what the table says"


def test_what_the_real_connector_captures_is_what_the_table_says_also_when_it_crashes(stack, agency, connect, tmp_path):
    chance = random.Random(1405)
    table = CapturedTable(stack.endpoints, tmp_path)
    client = admin(table.kafka)
    client.delete_topics([table.topic])[table.topic].result(30)  # the connector makes it
    prefix = table.topic.partition(".")[0]
    with psycopg.connect(agency.url(), autocommit=True) as connection:
        connection.execute(TABLE)
        for _ in range(PERSONS):
            act(connection, chance)

        connect.make_connector(prefix, connector(agency, prefix))
        capture_until_equal(table, connection, connect, prefix)
        for _ in range(2):
            for _ in range(80):
                act(connection, chance)
            connect.kill()  # what it has not noted as sent it sends again
            connect.start()
            connect.make_connector(prefix, connector(agency, prefix))
            capture_until_equal(table, connection, connect, prefix)

    events = table.events()
    assert table.refused == []
    assert events["sequence"].to_list() == list(range(1, events.height + 1))
    assert events["event_id"].n_unique() == events.height
    assert table.capture().events == 0
