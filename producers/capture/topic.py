"""The change topic as it is read: from given positions on, never from others, and never committed to the broker."""

from collections.abc import Mapping, Sequence
from types import TracebackType
from uuid import uuid4

from confluent_kafka import KafkaError, KafkaException, Message, TopicCollection, TopicPartition

from bus.kafka import REQUEST_TIMEOUT_S, KafkaConnection, admin, bus_error, consumer
from producers.errors import MustDecideError, TopicMissingError

MESSAGES_TOGETHER = 5_000
WAIT_S = 1.0


class ChangeTopic:
    """Reads one topic. A context manager: leaving it gives the broker's connection back."""

    def __init__(self, kafka: KafkaConnection, name: str) -> None:
        self.name = name
        self._kafka = kafka
        # A group's name is asked for, but nothing is ever kept under it: positions lie beside the journal.
        self._consumer = consumer(kafka, group=f"capture-{uuid4()}")

    def __enter__(self) -> "ChangeTopic":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._consumer.close()

    def topic_id(self) -> str:
        """Which life of the topic it is. Raises TopicMissingError, BusError."""
        asked = admin(self._kafka)
        try:
            described = asked.describe_topics(TopicCollection([self.name]), request_timeout=REQUEST_TIMEOUT_S)
            return str(described[self.name].result().topic_id)
        except KafkaException as exc:
            cause = exc.args[0]
            if isinstance(cause, KafkaError) and cause.code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
                raise TopicMissingError(
                    f"there is no topic '{self.name}'",
                    remedy="a connector makes it with the first row: its name is PREFIX.SCHEMA.TABLE",
                ) from exc
            raise bus_error(exc, f"asking for the topic '{self.name}'") from exc

    def start(self, positions: Mapping[int, int]) -> dict[int, int]:
        """Begins to read; gives each partition's position. Raises MustDecideError where what follows is gone."""
        try:
            partitions = self._consumer.list_topics(self.name, REQUEST_TIMEOUT_S).topics[self.name].partitions
            begun = {partition: self._begun(partition, positions.get(partition)) for partition in partitions}
            self._consumer.assign([TopicPartition(self.name, *place) for place in begun.items()])
        except KafkaException as exc:
            raise bus_error(exc, f"reading the topic '{self.name}'") from exc
        return begun

    def _begun(self, partition: int, position: int | None) -> int:
        first, after = self._consumer.get_watermark_offsets(TopicPartition(self.name, partition), REQUEST_TIMEOUT_S)
        if position is None:
            return first
        if not first <= position <= after:
            raise MustDecideError(
                f"the topic '{self.name}' was read up to position {position} of partition {partition}, and holds"
                f" {first} to {after} now: changes may be lost",
                remedy="keep the topic longer than a capture may rest; let the connector take a new snapshot into a"
                " topic of another name, and capture that as another source",
            )
        return position

    def read(self, *, wait_s: float = WAIT_S) -> Sequence[Message]:
        """Messages that are there, or none after the wait. Raises BusError."""
        first = self._consumer.consume(1, wait_s)
        messages = [*first, *(self._consumer.consume(MESSAGES_TOGETHER - 1, 0.05) if first else [])]
        for message in messages:
            error = message.error()
            if error is not None:
                raise bus_error(error, f"reading the topic '{self.name}'")
        return messages

    def ends(self, partitions: Mapping[int, int]) -> dict[int, int]:
        """The position after the last message of each partition now."""
        try:
            return {
                partition: self._consumer.get_watermark_offsets(
                    TopicPartition(self.name, partition), REQUEST_TIMEOUT_S, cached=False
                )[1]
                for partition in partitions
            }
        except KafkaException as exc:
            raise bus_error(exc, f"reading the topic '{self.name}'") from exc
