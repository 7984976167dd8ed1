import random
import threading

import psycopg
import pytest
from confluent_kafka import TopicPartition
from ordeal import Ordeal
from raw_bus import DEADLINE_S

from bus.kafka import admin
from consumers.errors import LogAccidentError
from consumers.materializer import worker
from deploy.provision import create_topics

EX_CONFIG = 78


@pytest.fixture
def ordeal(stack, database_url):
    undergone = Ordeal(stack.endpoints.kafka_bootstrap, database_url, random.Random(1404))
    undergone.load(100)
    undergone.bus.catch_up()
    yield undergone
    undergone.close()


def held(ordeal):
    with psycopg.connect(ordeal.bus.database_url) as connection:
        return (
            ordeal.positions(),
            ordeal.bus.actual_rows(),
            connection.execute("SELECT * FROM yekbar.sources ORDER BY source, partition").fetchall(),
        )


def delete_topic(bus):
    client = admin(bus.kafka)  # it must outlive its answer
    for done in client.delete_topics([bus.topic], operation_timeout=DEADLINE_S).values():
        done.result(DEADLINE_S)


def make_anew(ordeal, count):
    """The topic with other events, at least as many as before."""
    bus = ordeal.bus

    def is_made():
        create_topics(bus.kafka, [bus.record_type], partitions=2)  # refused while the old one is being deleted
        return bus.topic in admin(bus.kafka).list_topics(timeout=DEADLINE_S).topics

    ordeal.wait_until(is_made, "the topic was not made")
    ordeal.load(count)


def stops_as_an_accident(ordeal, told):
    process = ordeal.start()
    assert process.wait(DEADLINE_S) == EX_CONFIG, process.log.read_text()
    assert told in process.log.read_text()


def test_a_position_below_the_start_of_the_log_stops_the_worker_and_changes_nothing(ordeal):
    ordeal.load(100)
    ends = {number: position + 10 for number, position in ordeal.positions().items()}
    cut = [TopicPartition(ordeal.bus.topic, number, end) for number, end in ends.items()]
    client = admin(ordeal.bus.kafka)  # it must outlive its answer
    for done in client.delete_records(cut).values():
        done.result(DEADLINE_S)
    before = held(ordeal)

    stops_as_an_accident(ordeal, "but the log holds")

    assert held(ordeal) == before


def test_a_position_above_the_end_of_the_log_stops_the_worker_and_changes_nothing(ordeal):
    with psycopg.connect(ordeal.bus.database_url) as connection:
        connection.execute("UPDATE yekbar.positions SET next_position = next_position + 1000")
    before = held(ordeal)

    stops_as_an_accident(ordeal, "but the log holds")

    assert held(ordeal) == before


def test_a_topic_that_was_made_anew_stops_the_worker_and_changes_nothing(ordeal):
    before = held(ordeal)
    delete_topic(ordeal.bus)
    make_anew(ordeal, 300)

    stops_as_an_accident(ordeal, "deleted and made anew")

    assert held(ordeal) == before


def test_a_topic_that_is_gone_stops_the_worker_and_changes_nothing(ordeal):
    before = held(ordeal)
    delete_topic(ordeal.bus)

    stops_as_an_accident(ordeal, "does not exist")

    assert held(ordeal) == before


def test_a_topic_that_is_made_anew_under_a_running_worker_stops_it_and_changes_nothing(ordeal, monkeypatch):
    monkeypatch.setattr(worker, "REPORT_EVERY_S", 0.05)
    before = held(ordeal)
    failures = []
    stop = threading.Event()

    def work():
        try:
            worker.Worker(ordeal.bus.parts()).run(stop.is_set)
        except LogAccidentError as exc:
            failures.append(exc)

    thread = threading.Thread(target=work)
    thread.start()
    ordeal.wait_until(lambda: taken_over(ordeal), "the worker did not begin")

    delete_topic(ordeal.bus)
    make_anew(ordeal, 300)
    thread.join(DEADLINE_S)
    stop.set()
    thread.join(DEADLINE_S)

    assert [failure.exit_code for failure in failures] == [EX_CONFIG]
    assert held(ordeal) == before


def taken_over(ordeal):
    with psycopg.connect(ordeal.bus.database_url) as connection:
        return connection.execute("SELECT min(generation) FROM yekbar.positions").fetchone() == (2,)
