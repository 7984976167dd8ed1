import json
import os
import signal
import socket
import threading
import time
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from uuid import UUID, uuid4

import httpx2
import pytest
from confluent_kafka import KafkaException, TopicPartition
from toxic_proxy import ToxicProxy

from bus.http.server import listening, server
from bus.http.settings import read_token_settings
from bus.kafka import consumer, kafka_connection
from bus.settings import Mode
from bus.subject import Pseudonymizer
from bus.topics import records_topic
from deploy.development_issuer import DevelopmentIssuer
from deploy.local.kafka import Broker, BrokerPorts
from deploy.local.process import free_port
from deploy.provision import create_topics
from producers.gateway import app as gateway
from producers.gateway import joining
from producers.gateway.app import BODY_BYTES_MAX, CHANGES_MAX, GatewayApp
from producers.journal_file import SqliteJournal
from producers.publisher import Publisher
from registry.client import InMemorySchemaRegistry
from registry.contracts import Agency, Catalogue, QualityRule, RecordType, Severity

DEADLINE_S = 60
PERSON, NEIGHBOUR = "0499370899", "0013542419"
DEED = RecordType(
    id="some-agency.deed",
    agency="some-agency",
    title={"en": "Deed"},
    body={
        "type": "record",
        "name": "Deed",
        "fields": [
            {"name": "number", "type": "string"},
            {"name": "area", "type": "int"},
            {"name": "issued_on", "type": ["null", {"type": "int", "logicalType": "date"}], "default": None},
        ],
    },
    record_key_field="number",
    fields=(),
    rules=(QualityRule(id="area-positive", field="area", check="area > 0", severity=Severity.REFUSE),),
    freshness=timedelta(days=1),
    heartbeat=timedelta(minutes=1),
)


@pytest.fixture
def deed():
    return replace(DEED, id=f"some-agency.deed-{uuid4().hex[:12]}")


@pytest.fixture
def kafka(stack, deed):
    connection = kafka_connection(stack.endpoints.kafka_bootstrap)
    create_topics(connection, [deed])
    return connection


class Poster:
    """An agency's client, and the journal that the gateway keeps."""

    def __init__(self, url, issuer, deed, journal):
        self.deed, self.journal, self.issuer = deed, journal, issuer
        self.http = httpx2.Client(base_url=url, timeout=30)

    def post(self, body, *, agency="some-agency", to=None, query="", content=None, **headers):
        token = self.issuer.token({"agency": agency}) if agency else "none"
        return self.http.post(
            f"/v1/records/{to or self.deed.id}{query}",
            content=json.dumps(body).encode() if content is None else content,
            headers={"authorization": f"Bearer {token}", "content-type": "application/json", **headers},
        )


@contextmanager
def serving(deed, connection, folder, *, journal=None):
    """A gateway on a port of its own."""
    journal = journal or folder / "gateway.journal"
    issuer = DevelopmentIssuer(folder=folder / "issuer", mode=Mode.DEVELOPMENT)

    def opening(record_type):
        return Publisher(
            record_type,
            source=f"{record_type.id}/gateway",
            kafka=connection,
            registry=InMemorySchemaRegistry(),
            pseudonymizer=Pseudonymizer(bytes(32), "iran"),
            journal=SqliteJournal(journal),
        )

    catalogue = Catalogue(
        national_id_scheme="iran",
        agencies={name: Agency(id=name, title={"en": name}) for name in ("some-agency", "other-agency")},
        record_types={deed.id: deed},
        evidence_types={},
        procedures={},
        agreements={},
    )
    made = GatewayApp(catalogue=catalogue, settings=read_token_settings(issuer.environment()), opening=opening)
    port = free_port()
    door = server(made)
    thread = threading.Thread(target=serve_until_told, args=(door, port))
    thread.start()
    poster = Poster(f"http://127.0.0.1:{port}", issuer, deed, journal)
    try:
        wait_until(lambda: answers(port))
        yield poster
    finally:
        poster.http.close()
        door.should_exit = True
        thread.join(DEADLINE_S)
        assert not thread.is_alive()


def serve_until_told(door, port):
    with listening("127.0.0.1", port) as taken:
        door.run(sockets=[taken])


def answers(port):
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True


def wait_until(is_so):
    deadline = time.monotonic() + DEADLINE_S
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture
def poster(kafka, deed, tmp_path):
    with serving(deed, kafka, tmp_path) as made:
        yield made


def change(number, **changes):
    said = {"national_id": PERSON, "change_kind": "created", "effective_from": "2020-01-01T00:00:00Z"}
    return {**said, "body": {"number": number, "area": 80}, **changes}


def identified(number, **changes):
    return change(number, event_id=str(uuid4()), **changes)


def logged(kafka, deed):
    """How many events the topic holds; a topic that was just made has its leaders a moment later."""
    topic = records_topic(deed.id)
    deadline = time.monotonic() + 30
    with closing(consumer(kafka, group="reading")) as reader:
        while True:
            try:
                partitions = reader.list_topics(topic, timeout=30).topics[topic].partitions
                places = [TopicPartition(topic, partition) for partition in partitions]
                return sum(reader.get_watermark_offsets(place, timeout=30)[1] for place in places)
            except KafkaException:
                assert time.monotonic() < deadline


def test_good_changes_are_in_the_log_when_the_answer_comes_and_bad_ones_are_told_beside_them(poster, kafka, deed):
    good = identified("1")

    answer = poster.post(
        [
            good,
            change("2", body={"number": 2, "area": 80}),
            change("3", body={"number": "3", "area": 80, PERSON: 1}),
            change("4", national_id="0499370898"),
            change("5", body={"number": "5", "area": 0}),
            change("6", effective_from="2020-01-01T00:00:00"),
            {PERSON: 1},
            7,
            None,
            change("8", event_id="none"),
            change("9", national_id=9),
        ]
    )

    first, *others = answer.json()["results"]
    assert answer.status_code == 200
    assert first == {"event_id": good["event_id"], "status": "published"}
    assert [(one["reason"], one["field"]) for one in others] == [
        ("invalid-field", "number"),
        ("invalid-field", "an unknown one"),
        ("invalid-national-id", "national_id"),
        ("quality-rule", "area"),
        ("invalid-field", "effective_from"),
        ("invalid-field", "an unknown one"),
        ("invalid-field", "change"),
        ("invalid-field", "change"),
        ("invalid-field", "event_id"),
        ("invalid-national-id", "national_id"),
    ]
    assert others[3]["rule"] == "area-positive"
    assert others[0]["type"] == "urn:yekbar:problem:invalid-field"
    assert PERSON not in answer.text
    assert logged(kafka, deed) == 1


def test_one_change_may_be_posted_alone(poster, kafka, deed):
    good, bad = poster.post(change("1")), poster.post(change("1", change_kind="destroyed"))

    assert (good.status_code, good.json()["status"]) == (200, "published")
    assert UUID(good.json()["event_id"]).version == 7
    assert (bad.status_code, bad.json()["field"]) == (422, "change_kind")
    assert bad.headers["content-type"] == "application/problem+json"
    assert logged(kafka, deed) == 1


def test_a_repeat_is_answered_and_not_published_again_also_by_the_next_gateway(kafka, deed, tmp_path):
    first = [identified("1"), identified("2")]
    with serving(deed, kafka, tmp_path) as poster:
        poster.post(first)
        again = poster.post([*first, first[0], identified("3")])
    with serving(deed, kafka, tmp_path) as poster:
        later = poster.post(first)

    assert [one["status"] for one in again.json()["results"]] == ["repeated", "repeated", "repeated", "published"]
    assert [one["event_id"] for one in again.json()["results"][:2]] == [one["event_id"] for one in first]
    assert [one["status"] for one in later.json()["results"]] == ["repeated", "repeated"]
    assert logged(kafka, deed) == 3


def test_another_change_under_an_id_that_was_used_is_refused(poster, kafka, deed):
    first = identified("1")
    poster.post(first)

    other = poster.post({**first, "national_id": NEIGHBOUR})
    twice = identified("2")
    together = poster.post([twice, {**twice, "effective_from": "2021-01-01T00:00:00Z"}])

    assert (other.status_code, other.json()["reason"]) == (422, "event-id-reused")
    assert [one.get("reason") for one in together.json()["results"]] == [None, "event-id-reused"]
    assert logged(kafka, deed) == 2


def test_a_change_that_was_refused_may_come_again_corrected_under_its_id(poster):
    bad = identified("1", body={"number": "1", "area": 0})
    poster.post(bad)

    good = poster.post({**bad, "body": {"number": "1", "area": 1}})

    assert (good.status_code, good.json()["status"]) == (200, "published")


@pytest.mark.parametrize(
    ("agency", "to", "status"),
    [("", None, 401), ("other-agency", None, 403), ("some-agency", "some-agency.none", 404)],
    ids=["no token", "of another", "no such record type"],
)
def test_only_the_owner_publishes(poster, kafka, deed, agency, to, status):
    answer = poster.post(change("1"), agency=agency, to=to)

    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert logged(kafka, deed) == 0


def test_a_citizen_publishes_nothing(poster):
    token = poster.issuer.token({"agency": "some-agency", "national_id": PERSON})

    answer = poster.post(change("1"), authorization=f"Bearer {token}")

    assert answer.status_code == 403


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"{", 400),
        (b"[]", 422),
        (b" " * (BODY_BYTES_MAX + 1), 413),
        (b"[" + b"1," * CHANGES_MAX + b"1]", 413),
    ],
    ids=["no JSON", "nothing", "too large", "too many"],
)
def test_a_body_beyond_the_limits_is_refused_whole(poster, kafka, deed, content, status):
    assert poster.post(None, content=content).status_code == status
    assert logged(kafka, deed) == 0


def test_a_person_is_named_in_no_address_and_a_body_is_json(poster):
    assert poster.post(change("1"), query=f"?national_id={PERSON}").status_code == 400
    assert poster.post(change("1"), **{"content-type": "text/plain"}).status_code == 415
    assert poster.http.get(f"/v1/records/{poster.deed.id}").status_code == 405


def test_the_document_and_the_page_tell_what_is_taken(poster):
    document = poster.http.get("/openapi.json").json()
    page = poster.http.get("/").text

    schema = document["components"]["schemas"][f"{poster.deed.id}.body"]
    assert f"/v1/records/{poster.deed.id}" in document["paths"]
    assert schema["required"] == ["number", "area"]
    assert schema["properties"]["issued_on"] == {"type": ["string", "null"], "format": "date"}
    assert "area &gt; 0" in page


def test_while_too_much_waits_callers_are_told_to_come_again(kafka, deed, tmp_path, monkeypatch):
    monkeypatch.setattr(joining, "CHANGES_WAITING_MAX", 3)
    with serving(deed, kafka, tmp_path) as poster:
        busy = poster.post([change("1"), change("2"), change("3"), change("4")])
        after = poster.post([change("1"), change("2"), change("3")])

    assert (busy.status_code, busy.headers["retry-after"]) == (429, "1")
    assert busy.json()["type"] == "urn:yekbar:problem:too-many-requests"
    assert after.status_code == 200


def test_bodies_together_take_bounded_memory(kafka, deed, tmp_path, monkeypatch):
    monkeypatch.setattr(gateway, "BODIES_BYTES_MAX", 100)
    with serving(deed, kafka, tmp_path) as poster:
        refused = poster.post([change("1"), change("2")])

    assert refused.status_code == 429
    assert logged(kafka, deed) == 0


@pytest.mark.local_stack
def test_while_the_broker_hangs_callers_wait_briefly_then_not_at_all_and_repeats_are_harmless(
    deed, tmp_path, monkeypatch
):
    monkeypatch.setattr(gateway, "ACKNOWLEDGED_WITHIN_S", 1)
    monkeypatch.setattr(joining, "STALLED_AFTER_S", 1)
    broker = Broker(tmp_path / "kafka", BrokerPorts(client=free_port(), controller=free_port()))
    broker.start()
    try:
        connection = kafka_connection(broker.bootstrap)
        create_topics(connection, [deed])
        changes = [identified(str(number)) for number in range(5)]
        with serving(deed, connection, tmp_path) as poster:
            poster.post(changes[:1])
            os.kill(broker.process.pid, signal.SIGSTOP)
            waited = poster.post(changes[1:3])
            wait_until(lambda: poster.post(changes[3:4]).elapsed < timedelta(seconds=0.5))
            at_once = poster.post(changes[4:])
            os.kill(broker.process.pid, signal.SIGCONT)
            wait_until(lambda: (answer := poster.post(changes)).status_code == 200 and bool(answer.json()))
            after = poster.post(changes)

        assert (waited.status_code, waited.headers["retry-after"]) == (503, "5")
        assert at_once.status_code == 503
        assert {one["status"] for one in after.json()["results"]} == {"repeated"}
        assert logged(connection, deed) == 5
    finally:
        with suppress(ProcessLookupError):
            os.kill(broker.process.pid, signal.SIGCONT)
        broker.kill()


def test_connections_that_break_lose_and_double_nothing(kafka, deed, tmp_path):
    """Callers lose their answers at random, and send the same again until they have one."""
    with serving(deed, kafka, tmp_path) as poster:
        proxy = ToxicProxy(0, to=int(poster.http.base_url.port), seed=3)
        changes = [identified(str(number)) for number in range(60)]
        told = {}

        def insist(some):
            with httpx2.Client(base_url=f"http://127.0.0.1:{proxy.port}", timeout=10) as http:
                while True:
                    with suppress(httpx2.HTTPError):
                        token = poster.issuer.token({"agency": "some-agency"})
                        answer = http.post(
                            f"/v1/records/{deed.id}", json=some, headers={"authorization": f"Bearer {token}"}
                        )
                        if answer.status_code == 200:
                            told.update({one["event_id"]: one["status"] for one in answer.json()["results"]})
                            return

        callers = [threading.Thread(target=insist, args=(changes[start : start + 5],)) for start in range(0, 60, 5)]
        for caller in callers:
            caller.start()
        for _ in range(20):
            proxy.reset()
            time.sleep(0.01)
        for caller in callers:
            caller.join(DEADLINE_S)
        proxy.close()

    assert told.keys() == {one["event_id"] for one in changes}
    assert logged(kafka, deed) == 60
