import asyncio
import json
import time
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest
from confluent_kafka import KafkaException, TopicPartition

from bus.kafka import consumer, kafka_connection
from bus.subject import Pseudonymizer
from bus.topics import records_topic
from deploy.provision import create_topics
from producers.gateway.app import BODY_BYTES_MAX, GatewayApp
from producers.journal import MemoryJournal
from producers.publisher import Publisher
from registry.client import InMemorySchemaRegistry
from registry.contracts import RecordType

PERSON = "0499370899"
DEED = RecordType(
    id="some-agency.deed",
    agency="some-agency",
    title={},
    body={"type": "record", "name": "Deed", "fields": [{"name": "number", "type": "string"}]},
    record_key_field="number",
    fields=(),
    rules=(),
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


@pytest.fixture
def post(kafka, deed):
    async def agency_of(token):
        return token.decode() if token != b"bad" else None

    def opening(record_type):
        return Publisher(
            record_type,
            source=f"{record_type.id}/gateway",
            kafka=kafka,
            registry=InMemorySchemaRegistry(),
            pseudonymizer=Pseudonymizer(bytes(32), "iran"),
            journal=MemoryJournal(),
        )

    app = GatewayApp({deed.id: deed}, agency_of=agency_of, opening=opening)

    def posted(body, *, token="some-agency"):
        return asyncio.run(answered(app, deed, body, token))

    yield posted
    for joiner in app._joiners.values():
        joiner.stop()
        joiner._thread.join()


async def answered(app, deed, body, token):
    scope = {
        "type": "http",
        "method": "POST",
        "path": f"/v1/records/{deed.id}",
        "query_string": b"",
        "headers": [(b"authorization", f"Bearer {token}".encode())] if token else [],
    }
    sent = []

    async def receive():
        return {"type": "http.request", "body": body if isinstance(body, bytes) else json.dumps(body).encode()}

    async def send(message):
        sent.append(message)

    await app(scope, receive, send)
    return sent[0]["status"], json.loads(sent[1]["body"])


def change(number, **changes):
    said = {"national_id": PERSON, "change_kind": "created", "effective_from": "2020-01-01T00:00:00Z"}
    return {**said, "body": {"number": number}, **changes}


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


def test_good_changes_are_in_the_log_when_the_answer_comes_and_bad_ones_are_told_beside_them(post, kafka, deed):
    event_id = str(uuid4())

    status, answer = post(
        [
            change("1", event_id=event_id),
            change("2", body={"number": 2}),
            change("3", body={"number": "3", PERSON: 1}),
            change("4", national_id="0499370898"),
        ]
    )

    assert status == 200
    assert answer["results"][0] == {"event_id": event_id}
    assert [one["reason"] for one in answer["results"][1:]] == ["invalid-field", "invalid-field", "invalid-national-id"]
    assert answer["results"][1]["field"] == "number"
    assert PERSON not in json.dumps(answer)
    assert logged(kafka, deed) == 1


@pytest.mark.parametrize(
    ("token", "status"), [("", 401), ("bad", 401), ("other-agency", 403)], ids=["none", "refused", "of another"]
)
def test_only_the_owner_publishes(post, kafka, deed, token, status):
    answered_status, _ = post(change("1"), token=token)

    assert answered_status == status
    assert logged(kafka, deed) == 0


@pytest.mark.parametrize(
    ("body", "status"),
    [(b"{", 400), (b"[]", 422), (b" " * (BODY_BYTES_MAX + 1), 413), (b"[" + b"1," * 1_000 + b"1]", 413)],
    ids=["no JSON", "nothing", "too large", "too many"],
)
def test_a_body_beyond_the_limits_is_refused_whole(post, kafka, deed, body, status):
    assert post(body)[0] == status
    assert logged(kafka, deed) == 0
