"""Kafka clients with every option that we depend on written out (librdkafka's CONFIGURATION.md names them)."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer
from confluent_kafka.admin import AdminClient

from bus.client_file import CLIENT_FILE, read_client_file
from bus.errors import BusError, TransientError

KafkaConnection = Mapping[str, str | int | float | bool]  # bootstrap and security: what every client shares

MESSAGE_BYTES_MAX = 1_000_000  # the broker's own limit, less the room for its record headers
REQUEST_TIMEOUT_S = 30
ANSWER_TIMEOUT_S = REQUEST_TIMEOUT_S + 5  # the client itself tells first that it waited too long
SESSION_TIMEOUT_MS = 10_000
POLL_INTERVAL_MAX_MS = 300_000
assert SESSION_TIMEOUT_MS < POLL_INTERVAL_MAX_MS, "a slow batch must not look like a dead process"

_SHARED: KafkaConnection = {
    "broker.address.family": "v4",
    "socket.keepalive.enable": True,
    "reconnect.backoff.max.ms": 2_000,
    "log_level": 3,  # errors: of a coordinator that is still loading the client warns, and retries by itself
}


def kafka_connection(bootstrap: str, environment: Mapping[str, str] = os.environ) -> KafkaConnection:
    """What every client needs to reach the brokers, and to be let in as KAFKA_CLIENT_FILE says. Raises SettingError."""
    named = environment.get(CLIENT_FILE)
    return {**_SHARED, **(read_client_file(Path(named)) if named else {}), "bootstrap.servers": bootstrap}


def producer(connection: KafkaConnection, *, linger_ms: float = 5) -> Producer:
    """A producer that loses nothing it acknowledged and writes nothing twice within its life.

    The partitioner is the Java client's, so that any client sends one person's events to one partition. It retries for
    ever: the caller's back-pressure is the limit, not a timeout that leaves the outcome unknown.
    """
    return Producer(
        {
            **connection,
            "acks": "all",
            "enable.idempotence": True,
            "partitioner": "murmur2_random",
            "compression.type": "lz4",
            "linger.ms": linger_ms,
            "message.timeout.ms": 0,
            "message.max.bytes": MESSAGE_BYTES_MAX,
            "queue.buffering.max.messages": 500_000,
            "queue.buffering.max.kbytes": 256 << 10,
        }
    )


def consumer(connection: KafkaConnection, *, group: str, **options: str | int | float | bool) -> Consumer:
    """A consumer that never commits by itself and never chooses a position by itself."""
    return Consumer(
        {
            **connection,
            "group.id": group,
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "auto.offset.reset": "error",
            "isolation.level": "read_committed",
            "enable.partition.eof": False,
            "session.timeout.ms": SESSION_TIMEOUT_MS,
            "max.poll.interval.ms": POLL_INTERVAL_MAX_MS,
            "partition.assignment.strategy": "cooperative-sticky",
            "queued.max.messages.kbytes": 64 << 10,
            **options,
        }
    )


def admin(connection: KafkaConnection) -> AdminClient:
    """A client for topics and their settings."""
    return AdminClient(dict(connection))


def bus_error(error: KafkaError | KafkaException, doing: str) -> BusError:
    """What a Kafka error means to our loops: transient when the same call may go through later."""
    cause: Any = error.args[0] if isinstance(error, KafkaException) else error
    if isinstance(cause, KafkaError) and (cause.retriable() or cause.code() in _AWAY):
        return TransientError(f"Kafka is away while {doing}: {cause.str()}", remedy="waiting for it; check the brokers")
    if isinstance(cause, KafkaError) and cause.code() in _FORBIDDEN:
        return BusError(f"Kafka did not allow {doing}", remedy="'yekbar agency list' says who may do what")
    text = cause.str() if isinstance(cause, KafkaError) else str(cause)
    return BusError(f"Kafka refused {doing}: {text}")


_FORBIDDEN = frozenset(
    {
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
    }
)

_AWAY = frozenset(
    {
        KafkaError._ALL_BROKERS_DOWN,
        KafkaError._DESTROY_BROKER,  # the client let go of a broker that is away
        KafkaError._TRANSPORT,
        KafkaError._TIMED_OUT,
        KafkaError._RESOLVE,
        KafkaError._NOENT,  # no leader of a partition is known: so a broker answers that has just come back
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
        KafkaError.NOT_ENOUGH_REPLICAS,
    }
)
