import threading
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import psycopg
import pytest

from bus.envelope import EventIdMaker
from bus.heartbeats import HEARTBEAT_SCHEMA, Heartbeat, encode_heartbeat
from bus.kafka import kafka_connection, producer
from consumers.accesses.contract import access_contract
from consumers.accesses.flow import access_flow
from consumers.accesses.record import Access, Verdict, create_accesses, insert_parameter, insert_statement
from consumers.audit.access_check import check_accesses
from consumers.audit.log import Log
from consumers.heartbeats import HeartbeatKeeper, completeness
from consumers.materializer.positions import create_positions
from consumers.relay import TableRelay, create_relays
from deploy.provision import create_topics
from registry.client import InMemorySchemaRegistry

INSTANCE = uuid4()
make_id = EventIdMaker()


class Books:
    """A table of accesses with a topic of its own."""

    def __init__(self, stack, database_url):
        self.url = database_url
        self.kafka = kafka_connection(stack.endpoints.kafka_bootstrap)
        self.contract = access_contract(f"audit-{uuid4().hex[:8]}.access")
        self.registry = InMemorySchemaRegistry()
        create_topics(self.kafka, [self.contract], partitions=3)
        self.flow = access_flow(self.contract, self.registry)

    def write(self, count, *, connection=None, **changed):
        made = [access(**changed) for _ in range(count)]
        with psycopg.connect(self.url, autocommit=True) as own:
            cursor = psycopg.RawCursor(connection or own)
            cursor.execute(insert_statement(INSTANCE), [insert_parameter(made).decode()])
        return made

    @contextmanager
    def relaying(self):
        stop = threading.Event()
        relay = TableRelay(database_url=self.url, kafka=self.kafka, outflow=self.flow)
        thread = threading.Thread(target=relay.run, args=(stop,))
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join(30)

    def check(self, connection, **more):
        with Log(self.kafka) as log:
            return check_accesses(log, connection, self.flow, self.registry, **more)

    def kinds(self, connection):
        return sorted((one.kind, one.columns) for one in self.check(connection).differences)


def access(**changed):
    return Access(
        **{
            "access_id": make_id(),
            "at": datetime.now(UTC),
            "requester": "benefits",
            "procedure": "benefit",
            "subject": uuid4(),
            "case_reference": "۱۷",
            "acting_user": None,
            "purpose": "eligibility",
            "legal_basis": "Act 1",
            "effective_at": datetime(2026, 1, 1, tzinfo=UTC),
            "known_at": None,
            "decision": Verdict.GRANTED,
            "reason": None,
            "evidence": [{"evidence_type": "clearance", "claims": ["cleared"], "status": "met"}],
            **changed,
        }
    )


@pytest.fixture
def database(database_url):
    with psycopg.connect(database_url, autocommit=True) as connection:
        create_positions(connection)
        create_accesses(connection)
        create_relays(connection)
        yield connection


@pytest.fixture
def books(stack, database, database_url):  # noqa: ARG001 - the tables are made
    return Books(stack, database_url)


def wait_until(holds, timeout_s=30):
    deadline = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_every_access_is_on_the_topic_once_and_equal(books, database):
    books.write(200)
    books.write(1, subject=None, procedure=None, decision=Verdict.DENIED, reason="invalid-national-id")

    with books.relaying():
        checked = books.check(database)
        books.write(30)
        again = books.check(database)

    assert (checked.in_table, checked.in_topic, checked.differences) == (201, 201, ())
    assert (again.in_table, again.in_topic, again.differences) == (231, 231, ())


def test_an_access_of_an_older_transaction_that_commits_late_is_not_passed_by(books, database, database_url):
    with psycopg.connect(database_url) as slow, books.relaying():
        books.write(1, connection=slow)
        books.write(5)
        wait_until(lambda: database.execute("SELECT count(*) FROM yekbar.accesses").fetchone() == (5,))
        slow.commit()
        checked = books.check(database)

    assert (checked.in_topic, checked.differences) == (6, ())


def test_a_relay_that_dies_after_sending_sends_nothing_twice_and_goes_on_with_the_same_numbers(books, database):
    books.write(50)
    with books.relaying():
        wait_until(lambda: database.execute("SELECT sequence FROM yekbar.relays").fetchall() == [(50,)])
    database.execute("DELETE FROM yekbar.relays")  # as if it had died before it could remember
    books.write(20)

    with books.relaying():
        checked = books.check(database)

    assert (checked.in_table, checked.in_topic, checked.differences) == (70, 70, ())
    assert checked.sequences == (1, 70)


def test_of_two_relays_one_works_and_the_other_takes_over(books, database):
    with books.relaying():
        with books.relaying():
            books.write(10)
            assert books.check(database).differences == ()
        books.write(10)
        checked = books.check(database)

    assert (checked.in_topic, checked.differences) == (20, ())


def test_what_differs_between_table_and_topic_is_named(books, database):
    written = books.write(4)
    with books.relaying():
        assert books.check(database).differences == ()
    database.execute("ALTER TABLE yekbar.accesses DISABLE TRIGGER ALL")
    database.execute("UPDATE yekbar.accesses SET reason = 'x' WHERE access_id = %s", (written[0].access_id,))
    database.execute("DELETE FROM yekbar.accesses WHERE access_id = %s", (written[1].access_id,))
    sender = producer(books.kafka)
    row = {name: getattr(written[2], name) for name in Access.__dataclass_fields__}
    key, value = books.flow.write({**row, "evidence": "[]", "instance": None}, 9)
    sender.produce(books.flow.topic, key=key, value=value)
    sender.produce(books.flow.topic, key=b"x", value=b"no event")
    sender.flush(10)
    books.write(1)

    checked = books.check(database, wait_s=0)

    found = {(one.kind, one.columns) for one in checked.differences}
    assert found == {
        ("changed", ("reason",)),
        ("only-in-topic", ()),
        ("repeated", ()),
        ("changed", ("evidence", "instance")),
        ("unreadable", ()),
        ("not-relayed", ()),
    }
    by_kind = {one.kind: one for one in checked.differences}
    assert by_kind["only-in-topic"].access_id == written[1].access_id
    assert by_kind["only-in-topic"].position is not None


@pytest.fixture
def hearts(stack, database, database_url):  # noqa: ARG001 - the tables are made
    """Sends heartbeats, that a keeper keeps."""
    kafka = kafka_connection(stack.endpoints.kafka_bootstrap)
    topic = f"hearts.{uuid4().hex[:8]}"
    contract = access_contract(f"audit-{uuid4().hex[:8]}.access")
    create_topics(kafka, [contract], partitions=1)
    sender = producer(kafka, linger_ms=0)
    schema_id = InMemorySchemaRegistry().register(topic, HEARTBEAT_SCHEMA)
    stop = threading.Event()
    keeper = HeartbeatKeeper(database_url=database_url, kafka=kafka, topic=f"records.{contract.id}")
    thread = threading.Thread(target=keeper.run, args=(stop,))
    thread.start()

    def beat(source, sequence, until):
        said = None
        if sequence is not None:
            one = Heartbeat(source=source, record_type="a.b", last_sequence=sequence, complete_until=until)
            said = encode_heartbeat(one, schema_id)
        sender.produce(f"records.{contract.id}", key=source.encode(), value=said)
        sender.flush(10)

    yield beat
    stop.set()
    thread.join(30)


def received(database, count, highest):
    database.execute(
        "INSERT INTO yekbar.sources VALUES ('a.b', 'a/one', 0, %s, %s, now(), now())"
        " ON CONFLICT (view, source, partition)"
        " DO UPDATE SET highest_sequence = excluded.highest_sequence, received = excluded.received",
        (highest, count),
    )


def test_a_heartbeat_tells_of_the_last_event_that_never_came_and_until_when_all_had(hearts, database):
    first = datetime(2026, 3, 1, tzinfo=UTC)
    received(database, 5, 5)

    hearts("a/one", 5, first)
    wait_until(lambda: [one.whole_until for one in completeness(database)] == [first])
    hearts("a/one", 6, first + timedelta(minutes=1))
    wait_until(lambda: [one.missing for one in completeness(database)] == [1])
    (lost,) = completeness(database)
    received(database, 6, 6)
    wait_until(lambda: [one.whole_until for one in completeness(database)] == [first + timedelta(minutes=1)])

    assert (lost.source, lost.sent, lost.received, lost.whole_until) == ("a/one", 6, 5, first)


def test_a_source_that_is_retired_is_forgotten(hearts, database):
    hearts("a/one", 0, datetime.now(UTC))
    wait_until(lambda: len(completeness(database)) == 1)

    hearts("a/one", None, None)

    wait_until(lambda: completeness(database) == [])
