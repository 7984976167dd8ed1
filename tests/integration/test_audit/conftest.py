import io
import json
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from uuid import UUID, uuid4

import fastavro
import polars as pl
import psycopg
import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import NewTopic

from bus.envelope import ChangeKind, Event
from bus.framing import frame
from bus.kafka import admin, kafka_connection, producer
from bus.topics import RECORD_TOPIC_SETTINGS, event_subject_name, records_topic
from consumers.audit.diff import diff
from consumers.audit.log import Log, Stretch
from consumers.materializer.apply import apply, encode
from consumers.materializer.check import Checker
from consumers.materializer.positions import Move, advance, create_positions, take_over
from consumers.quarantine import PutAside, create_quarantine, put_aside
from consumers.views import create_views
from deploy.provision import provision
from deploy.wiring import wire
from registry.client import InMemorySchemaRegistry
from registry.composition import event_schema
from registry.contracts import RecordType

START = datetime(2026, 1, 1, tzinfo=UTC)
PARTITIONS = 2
BODY = {
    "type": "record",
    "name": "Holding",
    "fields": [
        {"name": "word", "type": "string", "doc": "A word."},
        {"name": "share", "type": ["null", "double"], "default": None, "doc": "A share."},
        {"name": "tags", "type": {"type": "array", "items": "string"}, "doc": "Some tags."},
    ],
}

CONTRACT = """\
title: {en: Holding, fa: دارایی}
record_key_field: word
freshness: P1D
heartbeat: PT1H
fields:
  word: {title: {en: Word, fa: واژه}, classification: personal}
  share: {title: {en: Share, fa: سهم}, classification: personal}
  tags: {title: {en: Tags, fa: برچسب}, classification: public}
"""


class AuditedBus:
    """One record type on a real topic, with a view that is kept by the write path's own parts."""

    def __init__(self, kafka, connection, record_type, registry):
        self.record_type = record_type
        self.topic = records_topic(record_type.id)
        self.kafka = kafka
        self.connection = connection
        self.registry = registry
        self.schema = event_schema(record_type)
        self.schema_id = registry.register(event_subject_name(self.topic), self.schema)
        self.log = Log(kafka)
        self._writer = fastavro.parse_schema(self.schema)
        self._producer = producer(kafka)
        self._read_to = {}

    @property
    def checker(self):
        return Checker(self.record_type, self.registry)

    def create(self):
        topic = NewTopic(self.topic, PARTITIONS, 1, config=dict(RECORD_TOPIC_SETTINGS))
        client = admin(self.kafka)  # kept until the answer is there
        client.create_topics([topic])[self.topic].result(30)
        create_views(self.connection, self.record_type)
        create_positions(self.connection)
        create_quarantine(self.connection)

    @contextmanager
    def beside(self, connection):
        """The same bus for another thread: with clients of its own, from where this one is."""
        other = AuditedBus(self.kafka, connection, self.record_type, self.registry)
        other._read_to = dict(self._read_to)
        with other.log:
            yield other

    def event(self, event_id=None, *, word="واژه", share=None, **said):
        """An event that may stand; an annulment has no body."""
        kind = said.get("change_kind", ChangeKind.CREATED)
        defaults = {
            "event_id": event_id or uuid4(),
            "source": "some-agency/outbox-1",
            "sequence": 1,
            "change_kind": kind,
            "subject": UUID(int=7),
            "record_key": word,
            "effective_from": START,
            "recorded_at": START,
            "body": None if kind is ChangeKind.ANNULLED else {"word": word, "share": share, "tags": ["یک", ""]},
        }
        return Event(**{**defaults, **said})

    def value(self, event):
        stream = io.BytesIO()
        fastavro.schemaless_writer(stream, self._writer, event.to_avro())
        return frame(self.schema_id) + stream.getvalue()

    def send(self, *events):
        self.send_bytes(*((event.subject.bytes, self.value(event)) for event in events))

    def send_bytes(self, *messages, partition=-1):
        for key, value in messages:
            self._producer.produce(self.topic, key=key, value=value, partition=partition)
        assert self._producer.flush(30) == 0

    def cut(self, partition, *, before):
        """Deletes the log's start, as a retention that is set wrongly would."""
        client = admin(self.kafka)
        place = TopicPartition(self.topic, partition, before)
        client.delete_records([place])[place].result(30)

    def materialize(self, cuts=()):
        """Applies what waits in the log, in batches that are cut where it is said."""
        bounds = self.log.bounds(self.topic)
        rest = {partition: Stretch(self._read_to.get(partition, 0), bounds[partition].stop) for partition in bounds}
        for arrived in self.log.read(self.topic, rest):
            checked = self.checker.check(arrived)
            edges = sorted({0, len(arrived.values), *(cut for cut in cuts if cut < len(arrived.values))})
            for start, end in pairwise(edges):
                self._apply(arrived, checked, range(start, end))
        self._read_to = {partition: stretch.stop for partition, stretch in rest.items()}

    def _apply(self, arrived, checked, rows):
        events = checked.events.filter(pl.col("row").is_in(list(rows)) & pl.col("reason").is_null())
        refused = {
            (arrived.partitions[one.row], arrived.positions[one.row]): one.reason
            for one in checked.refused
            if one.row in rows
        }
        with self.connection.transaction():
            if events.height:
                refused |= apply(self.connection, self.record_type, encode(self.record_type, events)).refused
            for place, reason in refused.items():
                self.quarantine(place, reason)
            self._advance(arrived, rows)

    def quarantine(self, place, reason):
        entry = PutAside(
            partition=place[0],
            position=place[1],
            reason=reason,
            detail="",
            known_at=START,
            key=None,
            value=None,
            headers=(),
        )
        put_aside(self.connection, view=self.record_type.id, topic=self.topic, events=[entry])

    def _advance(self, arrived, rows):
        for partition in {arrived.partitions[row] for row in rows}:
            last = max(arrived.positions[row] for row in rows if arrived.partitions[row] == partition)
            topic_id = self.log.topic_id(self.topic)
            owned = take_over(
                self.connection, view=self.record_type.id, topic=self.topic, topic_id=topic_id, partition=partition
            )
            advance(self.connection, [Move(owned=owned, next_position=last + 1, known_at=START)])

    def diff(self, limit=100):
        return diff(self.log, self.connection, self.checker, limit=limit)

    def facts(self, place=None):
        query = f'SELECT * FROM "{place or self.record_type.id}".facts ORDER BY partition, position'
        return self.connection.execute(query).fetchall()

    def positions(self):
        return self.connection.execute("SELECT * FROM yekbar.positions ORDER BY view, partition").fetchall()


@pytest.fixture
def bus(stack, database_url):
    record_type_id = f"audited-{uuid4().hex[:8]}.holding"
    record_type = RecordType(
        id=record_type_id,
        agency=record_type_id.partition(".")[0],
        title={},
        body=BODY,
        record_key_field="word",
        fields=(),
        rules=(),
        freshness=timedelta(days=1),
        heartbeat=timedelta(minutes=1),
    )
    kafka = kafka_connection(stack.endpoints.kafka_bootstrap)
    with psycopg.connect(database_url, autocommit=True) as connection:
        made = AuditedBus(kafka, connection, record_type, InMemorySchemaRegistry())
        with made.log:
            made.create()
            yield made


@pytest.fixture
def published_bus(stack, database_url, schema_registry_url, tmp_path, monkeypatch):
    """The same over a catalogue and a schema registry of its own, as the command finds them by its settings."""
    agency = f"audited-{uuid4().hex[:8]}"
    files = {
        "nation.yaml": "title: {en: Nation, fa: کشور}\nnational_id_scheme: iran\n",
        "agencies.yaml": f"{agency}:\n  title: {{en: Agency, fa: سازمان}}\n",
        f"records/{agency}/holding.yaml": CONTRACT,
        f"records/{agency}/holding.avsc": json.dumps(BODY),
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    for kind in ("evidence", "procedures", "agreements"):
        (tmp_path / kind).mkdir()
    settings = {
        "KAFKA_BOOTSTRAP": stack.endpoints.kafka_bootstrap,
        "DATABASE_URL": database_url,
        "SCHEMA_REGISTRY_URL": schema_registry_url,
        "YEKBAR_DOMAIN_KEY": stack.endpoints.domain_key,
        "YEKBAR_CATALOGUE": str(tmp_path),
        "COLUMNS": "200",
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    wiring = wire()
    provision(wiring)
    with wiring.database() as connection:
        made = AuditedBus(wiring.kafka, connection, wiring.record_type(f"{agency}.holding"), wiring.registry)
        made.subject = wiring.pseudonymizer.subject
        with made.log:
            yield made
