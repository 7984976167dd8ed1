"""Puts a catalogue into force: topics on the broker, schemas in the registry, views in the database.

Every step is harmless when repeated; nothing that exists is changed or taken away.
"""

from collections.abc import Sequence

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from bus.heartbeats import HEARTBEAT_SCHEMA
from bus.kafka import ANSWER_TIMEOUT_S, REQUEST_TIMEOUT_S, KafkaConnection, admin, bus_error
from bus.topics import (
    AUDIT_AGREEMENTS,
    HEARTBEAT_TOPIC_SETTINGS,
    QUALITY_FINDINGS,
    RECORD_TOPIC_SETTINGS,
    SOURCE_HEARTBEATS,
    event_subject_name,
    quarantine_topic,
    records_topic,
)
from consumers.accesses.contract import access_contract
from consumers.accesses.record import create_accesses
from consumers.agreements.store import create_agreements
from consumers.evidence.watch import create_persons_asked
from consumers.materializer.positions import create_positions
from consumers.quality import create_findings
from consumers.quarantine import create_quarantine
from consumers.relay import create_relays
from consumers.rights import grant_rights
from consumers.views import create_views
from deploy.wiring import Wiring
from registry.client import SchemaRegistry
from registry.composition import event_schema
from registry.contracts import RecordType

RECORD_PARTITIONS = 4  # fixed when a topic is made: a person's events stay in one partition
QUARANTINE_PARTITIONS = 1
HEARTBEAT_PARTITIONS = 1
AGREEMENTS_PARTITIONS = 1  # their order is that of all of them
FINDINGS_PARTITIONS = 1
REPLICAS = 3
MIN_IN_SYNC = 2


def provision(wiring: Wiring) -> None:
    """Makes all that the catalogue's record types need. Raises BusError, RegistryError, psycopg.Error."""
    record_types = [*wiring.catalogue.record_types.values(), access_contract()]
    create_topics(wiring.kafka, record_types)
    register_schemas(wiring.registry, record_types)
    wiring.registry.register(event_subject_name(SOURCE_HEARTBEATS), HEARTBEAT_SCHEMA)
    with wiring.database() as connection:
        create_positions(connection)
        create_quarantine(connection)
        create_findings(connection)
        create_accesses(connection)
        create_agreements(connection)
        create_persons_asked(connection)
        create_relays(connection)
        for record_type in record_types:
            create_views(connection, record_type)
        grant_rights(connection, record_types)


def create_topics(
    kafka: KafkaConnection, record_types: Sequence[RecordType], *, partitions: int = RECORD_PARTITIONS
) -> None:
    """Makes the topics of record types, their quarantine, findings and heartbeats, each with up to 3 replicas."""
    client = admin(kafka)
    try:
        brokers = len(client.list_topics(timeout=REQUEST_TIMEOUT_S).brokers)
    except KafkaException as exc:
        raise bus_error(exc, "asking for the brokers") from exc
    replicas = min(REPLICAS, brokers)
    settings = dict(RECORD_TOPIC_SETTINGS)
    if replicas == REPLICAS:
        settings["min.insync.replicas"] = str(MIN_IN_SYNC)
    wanted = [NewTopic(records_topic(one.id), partitions, replicas, config=settings) for one in record_types]
    wanted += [
        NewTopic(quarantine_topic(one.id), QUARANTINE_PARTITIONS, replicas, config=settings) for one in record_types
    ]
    wanted.append(NewTopic(QUALITY_FINDINGS, FINDINGS_PARTITIONS, replicas, config=settings))
    wanted.append(NewTopic(AUDIT_AGREEMENTS, AGREEMENTS_PARTITIONS, replicas, config=settings))
    wanted.append(NewTopic(SOURCE_HEARTBEATS, HEARTBEAT_PARTITIONS, replicas, config=dict(HEARTBEAT_TOPIC_SETTINGS)))
    _create(client, wanted)


def _create(client: AdminClient, wanted: list[NewTopic]) -> None:
    for name, made in client.create_topics(wanted, operation_timeout=REQUEST_TIMEOUT_S).items():
        try:
            made.result(ANSWER_TIMEOUT_S)
        except KafkaException as exc:
            if exc.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise bus_error(exc, f"the making of topic '{name}'") from exc


def register_schemas(registry: SchemaRegistry, record_types: Sequence[RecordType]) -> dict[str, int]:
    """The schema id of each record type's events, given now or before. Raises IncompatibleError, ContractError."""
    return {
        record_type.id: registry.register(event_subject_name(records_topic(record_type.id)), event_schema(record_type))
        for record_type in record_types
    }
