"""A record type on the real broker, written to with a raw producer: what tests of the consumers stand on."""

import time
from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from io import BytesIO
from uuid import uuid4

import fastavro
import psycopg
from confluent_kafka import Consumer, TopicPartition

from bus.envelope import ChangeKind, Event, EventIdMaker
from bus.framing import FRAME_BYTES, frame
from bus.kafka import kafka_connection, producer
from bus.topics import records_topic
from consumers.fold import Fact, fold, timeline, voided_by
from consumers.materializer.positions import create_positions
from consumers.materializer.worker import Parts, Worker
from consumers.quality import create_findings
from consumers.quarantine import create_quarantine, list_entries
from consumers.views import create_views
from deploy.provision import create_topics, register_schemas
from registry.client import InMemorySchemaRegistry
from registry.composition import event_schema
from registry.contracts import RecordType

DEADLINE_S = 60
START = datetime(2026, 1, 1, tzinfo=UTC)
BODY = {
    "type": "record",
    "name": "Holding",
    "fields": [{"name": "word", "type": "string"}, {"name": "count", "type": ["null", "long"], "default": None}],
}
make_id = EventIdMaker()


def record_type_of(name, body=BODY):
    return RecordType(
        id=f"agency-{name}.holding",
        agency=f"agency-{name}",
        title={},
        body=body,
        record_key_field=None,
        fields=(),
        rules=(),
        freshness=timedelta(days=1),
        heartbeat=timedelta(minutes=1),
    )


class RawBus:
    """One record type on the real broker and a database of its own, with workers and a raw producer."""

    def __init__(self, bootstrap, database_url):
        self.record_type = record_type_of(uuid4().hex[:8])
        self.bootstrap = bootstrap
        self.kafka = kafka_connection(bootstrap)
        self.database_url = database_url
        self.registry = InMemorySchemaRegistry()
        self.schema_id = register_schemas(self.registry, [self.record_type])[self.record_type.id]
        create_topics(self.kafka, [self.record_type], partitions=2)
        self.producer = producer(self.kafka)
        self.topic = records_topic(self.record_type.id)
        self.sequence = 0
        with psycopg.connect(database_url, autocommit=True) as connection:
            create_positions(connection)
            create_quarantine(connection)
            create_findings(connection)
            create_views(connection, self.record_type)

    def event(self, subject, **changes):
        self.sequence += 1
        return Event(
            **{
                "event_id": make_id(),
                "source": "agency/one",
                "sequence": self.sequence,
                "change_kind": ChangeKind.CREATED,
                "subject": subject,
                "effective_from": START,
                "recorded_at": START,
                "body": {"word": "واژه", "count": self.sequence},
                **changes,
            }
        )

    def value(self, event, *, schema=None, schema_id=None):
        written = BytesIO()
        schema = schema or event_schema(self.record_type)
        fastavro.schemaless_writer(written, fastavro.parse_schema(schema), event.to_avro())
        return frame(schema_id or self.schema_id) + written.getvalue()

    def send(self, *events):
        for event in events:
            self.send_raw(event.subject.bytes, self.value(event))

    def send_raw(self, key, value, **options):
        self.producer.produce(self.topic, key=key, value=value, **options)

    def parts(self, record_types=None):
        return Parts(
            kafka=self.kafka,
            database_url=self.database_url,
            registry=self.registry,
            record_types=record_types or [self.record_type],
            group=f"test-{self.record_type.id}",
        )

    def log_length(self):
        """The number of messages of the topic."""
        reader = Consumer({**self.kafka, "group.id": "counter"})
        ends = [reader.get_watermark_offsets(TopicPartition(self.topic, number), 10)[1] for number in (0, 1)]
        reader.close()
        return sum(ends)

    def read_log(self):
        """Every message of the topic, in the order of each partition."""
        wanted = self.log_length()
        reader = Consumer({**self.kafka, "group.id": "reader", "auto.offset.reset": "earliest"})
        reader.assign([TopicPartition(self.topic, number, 0) for number in (0, 1)])
        messages = []
        while len(messages) < wanted:
            messages += reader.consume(wanted - len(messages), DEADLINE_S)
        reader.close()
        return messages

    def expected_rows(self):
        """What `facts` must hold by the one-by-one fold of the log: position and fate of each event that is taken."""
        return self.folded()[0]

    def folded(self, *, below=None):
        """The same up to given positions, and the places of the messages that must be in quarantine.

        `periods` then holds the timelines of all persons.
        """
        schema = fastavro.parse_schema(event_schema(self.record_type))
        persons = defaultdict(list)
        refused = set()
        for message in self.read_log():
            if below is not None and message.offset() >= below.get(message.partition(), 0):
                continue
            if not message.value().startswith(frame(self.schema_id)):
                refused.add((message.partition(), message.offset()))
                continue
            event = Event.from_avro(fastavro.schemaless_reader(BytesIO(message.value()[FRAME_BYTES:]), schema, None))
            persons[event.subject, message.partition()].append(_fact(event, message))
        rows = {}
        self.periods = set()
        for (subject, partition), facts in persons.items():
            folded = fold(facts)
            self.periods |= {
                (subject, one.effective_from, one.effective_to, one.is_ceased, one.fact.event_id)
                for one in timeline(folded.facts)
            }
            fates = voided_by(folded.facts)
            refused |= {(partition, fact.position) for fact, _ in folded.refused}
            for fact in folded.facts:
                rows[subject, fact.event_id] = (partition, fact.position, fates.get(fact.event_id))
        return rows, refused

    def actual_rows(self):
        """The same, as the view says it."""
        rows = self.rows("subject, event_id, partition, position, voided_by")
        return {(subject, event_id): tuple(rest) for subject, event_id, *rest in rows}

    def catch_up(self, record_types=None):
        assert self.producer.flush(DEADLINE_S) == 0
        wanted = self.log_length()
        deadline = time.monotonic() + DEADLINE_S
        with psycopg.connect(self.database_url, autocommit=True) as connection:

            def is_done():
                assert time.monotonic() < deadline, "the materializer did not catch up"
                done = connection.execute(
                    "SELECT coalesce(sum(next_position), 0) FROM yekbar.positions WHERE view = %s",
                    (self.record_type.id,),
                ).fetchone()
                return done == (wanted,)

            return Worker(self.parts(record_types)).run(is_done)

    def rows(self, columns):
        with psycopg.connect(self.database_url) as connection:
            return connection.execute(f'SELECT {columns} FROM "{self.record_type.id}".facts').fetchall()

    def reasons(self):
        with psycopg.connect(self.database_url) as connection:
            return Counter(entry.reason for entry in list_entries(connection))


def _fact(event, message):
    return Fact(
        event_id=event.event_id,
        record_key=event.record_key,
        change_kind=event.change_kind,
        effective_from=event.effective_from,
        effective_to=event.effective_to,
        previous_event_id=event.previous_event_id,
        body=event.body,
        known_at=datetime.fromtimestamp(message.timestamp()[1] / 1000, UTC),
        position=message.offset(),
    )
