"""A table of an agency that is synced, on the real bus; and what the log says of it, by the plain fold."""

import tempfile
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import polars as pl
import sqlalchemy as sa
from confluent_kafka import TopicPartition

from bus.client_file import CLIENT_FILE
from bus.columns import Decoder
from bus.envelope import ChangeKind
from bus.kafka import admin, consumer, kafka_connection
from bus.national_id import iran_check_digit
from bus.subject import Pseudonymizer
from bus.topics import records_topic
from deploy.provision import create_topics
from producers.publisher import Publisher
from producers.sync.mapping import SyncMapping
from producers.sync.outcome import RoundKind
from producers.sync.rounds import TableSync
from producers.sync.state import SyncState
from producers.sync.table import Table, engine_of
from registry.catalogue import load_catalogue
from registry.client import InMemorySchemaRegistry
from registry.composition import event_schema

FIELDS = {
    "national_id": {"column": "person"},
    "effective_from": {"column": "since"},
    "postal_code": "code",
    "province": {"constant": "تهران"},
    "city": "town",
}


def person(number):
    nine = f"{number + 100_000_000:09}"
    return nine + str(iran_check_digit(nine))


class SyncedTable:
    """One table, its mapping, and rounds over it."""

    def __init__(
        self, endpoints, database_url, *, folder=None, record_type="post.registered-address", agency=None, **said
    ):
        contract = load_catalogue(None).record_types[record_type]
        agency = agency or f"sync-{uuid4().hex[:8]}"
        self.record_type = replace(contract, id=f"{agency}.{contract.id.partition('.')[2]}", agency=agency)
        self.kafka = kafka_connection(endpoints.kafka_bootstrap, {CLIENT_FILE: endpoints.kafka_client_file})
        create_topics(self.kafka, [self.record_type])
        self.pseudonymizer = Pseudonymizer(bytes.fromhex(endpoints.domain_key), "iran")
        self.engine = engine_of(database_url)
        self.folder = Path(folder or tempfile.mkdtemp(prefix="yekbar-sync-"))
        base = {"record_type": str(self.record_type.id), "table": "addresses", "fields": FIELDS}
        self.mapping = SyncMapping.model_validate({**base, **said})
        self.registry = InMemorySchemaRegistry()
        self.refused = []

    def execute(self, statement, rows=None):
        with self.engine.begin() as connection:
            connection.execute(sa.text(statement), rows)

    def sync(self):
        return TableSync(
            self.record_type,
            self.mapping,
            table=Table(self.engine, self.mapping),
            pseudonymizer=self.pseudonymizer,
            place="the mapping",
        )

    def round(self, kind=None, **options):
        """One round by a publisher of its own."""
        state = SyncState(self.folder / "state")
        sync = self.sync()
        self.refused = []
        with Publisher(
            self.record_type,
            source=self.mapping.source_name,
            kafka=self.kafka,
            registry=self.registry,
            pseudonymizer=self.pseudonymizer,
            journal=state,
        ) as publisher:
            kind = RoundKind(kind) if kind else sync.kind_of_next(state, now=datetime.now(UTC))
            return sync.round(publisher, state, kind, on_refused=self.refused.append, **options)

    def marked(self, **marks):
        """Changes what the state remembers of the last round."""
        state = SyncState(self.folder / "state")
        state.open(source=self.mapping.source_name, topic=records_topic(self.record_type.id))
        state.mark(**marks)
        state.close()

    def events(self):
        """The log in the order of its source."""
        topic = records_topic(self.record_type.id)
        reader = consumer(self.kafka, group="reading", **{"enable.partition.eof": True})
        partitions = len(admin(self.kafka).list_topics(topic, timeout=30).topics[topic].partitions)
        reader.assign([TopicPartition(topic, partition, 0) for partition in range(partitions)])
        values, ended = [], set()
        while len(ended) < partitions:
            for message in reader.consume(500, timeout=0.1):
                if message.error() is None:
                    values.append(message.value())
                else:
                    ended.add(message.partition())
        reader.close()
        schema = event_schema(self.record_type)
        if not values:
            return pl.DataFrame(schema=Decoder(1, schema).columns)
        decoded = Decoder(int.from_bytes(values[0][1:5]), schema).decode(values)
        assert decoded.malformed == []
        return decoded.frame.sort("sequence")

    def kinds(self):
        return [str(tuple(ChangeKind)[kind]) for kind in self.events()["change_kind"]]

    def holds(self):
        """What holds now by the log: for each subject and record key the body, as the plain fold says."""
        return folded(self.events(), now=datetime.now(UTC))

    def subject(self, number):
        return self.pseudonymizer.pseudonym(person(number))


def folded(events, *, now):
    """The naive fold: each event in its order; what is undone is undone with its effects."""
    records = {}
    for row in events.iter_rows(named=True):
        records.setdefault((row["subject"], row["record_key"]), []).append(row)
    holding = {}
    for record, rows in records.items():
        void = {}
        for row in reversed(rows):
            if row["previous_event_id"] is not None and row["event_id"] not in void:
                void[row["previous_event_id"]] = True
        facts = {}
        for row in rows:
            if row["event_id"] not in void and tuple(ChangeKind)[row["change_kind"]] is not ChangeKind.ANNULLED:
                facts[row["effective_from"]] = row
        past = [start for start in facts if start <= now]
        last = facts[max(past)] if past else None
        if last is not None and last["has_body"] and (last["effective_to"] is None or last["effective_to"] > now):
            holding[record] = last
    return holding
