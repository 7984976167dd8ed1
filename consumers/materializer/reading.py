"""The reading half's source: a Kafka consumer group member whose positions come from PostgreSQL, never from Kafka.

1. `read`  wait for one message, then take what is there: the batch grows with the backlog, so that an idle bus is
           quick and a loaded one is fast
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._listoffsets import OffsetSpec

from bus.errors import TransientError
from bus.kafka import ANSWER_TIMEOUT_S, REQUEST_TIMEOUT_S, KafkaConnection, admin, bus_error, consumer
from consumers.errors import LogAccidentError
from consumers.materializer.check import Arrived, Header
from consumers.materializer.positions import another_topic

BATCH_EVENTS_MAX = 10_000
IDLE_WAIT_S = 0.2

log = structlog.get_logger()
Message = Any  # the library says that each of a message's parts may be None; of a message that was read none is
PartitionId = tuple[str, int]  # topic and partition
_TOPIC_GONE = frozenset(
    {
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError.UNKNOWN_TOPIC_ID,
        KafkaError._UNKNOWN_TOPIC,
        KafkaError._UNKNOWN_PARTITION,
    }
)
OnAssigned = Callable[[str, str, int], int]  # topic, topic id, partition → the position to read from
OnRevoked = Callable[[Sequence[PartitionId]], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What was read, by topic, and the position behind what was read of each partition."""

    arrived: Mapping[str, Arrived]
    reads_to: Mapping[PartitionId, int]

    @property
    def is_empty(self) -> bool:
        """Whether there was nothing, not even an end of log to note."""
        return not self.reads_to


class Reader:
    """Reads the partitions that the group gives to this process."""

    def __init__(
        self,
        kafka: KafkaConnection,
        *,
        group: str,
        topics: Sequence[str],
        on_assigned: OnAssigned,
        on_revoked: OnRevoked,
    ) -> None:
        self._admin: AdminClient = admin(kafka)
        topic_ids(self._admin, topics)  # one that does not exist is told before the group is joined
        self._next: dict[PartitionId, int] = {}
        self._ids: dict[str, str] = {}
        self._on_assigned = on_assigned
        self._on_revoked = on_revoked
        options: dict[str, str | int | float | bool] = {"enable.partition.eof": True, "fetch.wait.max.ms": 100}
        self._consumer = consumer(kafka, group=group, **options)
        self._consumer.subscribe(list(topics), on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._revoked)

    def read(self) -> Taken:
        """What waits, at most BATCH_EVENTS_MAX messages; nothing after IDLE_WAIT_S. Raises LogAccidentError."""
        messages: list[Message] = self._consumer.consume(1, IDLE_WAIT_S)
        if messages:
            messages += self._consumer.consume(BATCH_EVENTS_MAX - 1, 0)
        by_topic: dict[str, list[Message]] = {}
        reads_to: dict[PartitionId, int] = {}
        for message in messages:
            place = (message.topic(), message.partition())
            offset = message.offset()
            error = message.error()
            if error is not None:
                if error.code() != KafkaError._PARTITION_EOF:
                    self._report(error)
                    continue
                following = offset
            else:
                following = offset + 1
            expected = self._next.get(place)
            if expected is None or offset < expected:
                continue  # fetched before the partition was given away, or before it came back
            if error is None:
                by_topic.setdefault(place[0], []).append(message)
            if following > expected:
                self._next[place] = reads_to[place] = following
        return Taken(arrived={topic: _arrived(of_topic) for topic, of_topic in by_topic.items()}, reads_to=reads_to)

    def confirm_topics(self) -> None:
        """Raises LogAccidentError when a topic that is read is gone or another one: the client may not notice."""
        for topic, topic_id in topic_ids(self._admin, sorted({topic for topic, _ in self._next})).items():
            if topic_id != self._ids[topic]:
                raise another_topic(topic, read=self._ids[topic], found=topic_id)

    def ends(self, partitions: Sequence[PartitionId]) -> dict[PartitionId, int]:
        """The position behind the last message of partitions, as the broker says now. Raises TransientError."""
        return log_ends(self._admin, partitions)

    def hint(self, positions: Mapping[PartitionId, int]) -> None:
        """Tells Kafka where we are, for those who watch its lag; a failure to do so means nothing to us."""
        offsets = [TopicPartition(topic, number, position) for (topic, number), position in positions.items()]
        if offsets:
            self._consumer.commit(offsets=offsets, asynchronous=True)

    def _assigned(self, member: Consumer, partitions: list[TopicPartition]) -> None:
        starts = []
        ids = topic_ids(self._admin, sorted({one.topic for one in partitions}))  # as they are now: one may be new
        for one in partitions:
            position = self._on_assigned(one.topic, ids[one.topic], one.partition)
            low, high = _bounds(member, one)
            if not low <= position <= high:
                raise LogAccidentError(
                    f"the view stands at position {position} of partition {one.partition} of topic '{one.topic}',"
                    f" but the log holds {low} to {high}",
                    remedy="nothing was changed; see 'a position outside the log' in the runbook",
                )
            self._next[one.topic, one.partition] = position
            self._ids[one.topic] = ids[one.topic]
            starts.append(TopicPartition(one.topic, one.partition, position))
        member.incremental_assign(starts)
        log.info("partitions_assigned", partitions=len(partitions), topics=len(ids))

    def _revoked(self, member: Consumer, partitions: list[TopicPartition]) -> None:
        places = [(one.topic, one.partition) for one in partitions]
        self._on_revoked(places)
        for place in places:
            self._next.pop(place, None)
        member.incremental_unassign(partitions)
        log.info("partitions_revoked", partitions=len(partitions))

    def _report(self, error: KafkaError) -> None:
        if error.code() in (KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE):
            raise LogAccidentError(
                f"a position lies outside the log: {error.str()}",
                remedy="nothing was changed; see 'a position outside the log' in the runbook",
            )
        if error.code() in _TOPIC_GONE:
            raise _topic_gone(error)
        log.warning("kafka_reported", error=error.str(), code=error.name())

    def __enter__(self) -> "Reader":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._consumer.close()


def _bounds(member: Consumer, one: TopicPartition) -> tuple[int, int]:
    """The first position of a partition's log and the one behind its last."""
    try:
        found = member.get_watermark_offsets(TopicPartition(one.topic, one.partition), REQUEST_TIMEOUT_S)
    except KafkaException as exc:
        raise bus_error(exc, f"asking for the bounds of topic '{one.topic}'") from exc
    if found is None:
        raise TransientError(f"Kafka does not say the bounds of topic '{one.topic}'", remedy="waiting for it")
    return found


def topic_ids(client: AdminClient, topics: Sequence[str]) -> dict[str, str]:
    """Kafka's id of each topic (KIP-516). Raises LogAccidentError when one does not exist, BusError."""
    if not topics:
        return {}
    found = {}
    for name, described in client.describe_topics(
        TopicCollection(list(topics)), request_timeout=REQUEST_TIMEOUT_S
    ).items():
        try:
            found[name] = str(described.result(ANSWER_TIMEOUT_S).topic_id)
        except KafkaException as exc:
            if exc.args[0].code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
                raise LogAccidentError(
                    f"the topic '{name}' does not exist",
                    remedy="make it with 'yekbar catalogue apply'; had it events, see the runbook, 'a topic was made"
                    " anew'",
                ) from exc
            raise bus_error(exc, f"describing topic '{name}'") from exc
    return found


def log_ends(client: AdminClient, partitions: Sequence[PartitionId]) -> dict[PartitionId, int]:
    """The position behind the last message of each partition. Raises TransientError when one is gone, BusError."""
    if not partitions:
        return {}
    latest = OffsetSpec.latest()  # type: ignore[no-untyped-call]  # the library leaves it untyped
    asked = {TopicPartition(topic, number): latest for topic, number in partitions}
    try:
        answers = client.list_offsets(asked, request_timeout=REQUEST_TIMEOUT_S)
        return {(one.topic, one.partition): answer.result(ANSWER_TIMEOUT_S).offset for one, answer in answers.items()}
    except KafkaException as exc:
        if exc.args[0].code() in _TOPIC_GONE:
            raise _topic_gone(exc.args[0]) from exc
        raise bus_error(exc, "asking for the ends of the log") from exc


def _topic_gone(error: KafkaError) -> TransientError:
    """Who joins anew learns whether the topic was deleted, or only this broker did not know it yet."""
    return TransientError(
        f"a topic that was read is gone: {error.str()}", remedy="joining anew, to see what became of it"
    )


def _arrived(messages: Sequence[Message]) -> Arrived:
    def headers(row: int) -> Sequence[Header]:
        found: Sequence[Header] = messages[row].headers() or ()
        return found

    return Arrived(
        keys=[message.key() for message in messages],
        values=[message.value() for message in messages],
        partitions=[message.partition() for message in messages],
        positions=[message.offset() for message in messages],
        known_at_ms=[message.timestamp()[1] for message in messages],
        headers=headers,
    )
