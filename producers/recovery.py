"""What became of promises: the log is read from where they may be in it, and says which of them it holds.

A publisher that was killed does not know which of its events the broker took: an acknowledgement may have been lost,
and sending all of them again would write some of them twice. The log knows.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, TopicPartition

from bus.errors import TransientError
from bus.framing import FRAME_BYTES
from bus.kafka import REQUEST_TIMEOUT_S, KafkaConnection, bus_error, consumer
from bus.topics import record_type_of
from producers.avro_coding import counted, long_at
from producers.errors import DivergedError
from producers.journal import Journal, Kept, Promise

MESSAGES_READ_MAX = 2_000
READ_TIMEOUT_S = 1.0
LEARNT_TOGETHER_MAX = 10_000
_ID_END = FRAME_BYTES + 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Logged:
    """One event of ours that the log holds."""

    sequence: int
    event_id: bytes
    value: bytes


class LogTail:
    """The end of a topic, from given positions to where the log ended as it was asked."""

    def __init__(self, connection: KafkaConnection, topic: str, *, partitions: int) -> None:
        self._connection = connection
        self._topic = topic
        self._partitions = partitions
        self._doing = f"reading the end of '{topic}'"
        self.ends: dict[int, int] = {}

    def events_of(self, source: str, positions: Mapping[int, int]) -> Iterator[Logged]:
        """The source's events in the tail, in the order of each partition. Raises TransientError, BusError.

        Afterwards `ends` says up to where each partition was read.
        """
        mark = counted(source.encode())
        reader = consumer(self._connection, group=_group(self._topic), **{"enable.partition.eof": True})
        try:
            waiting = self._assigned(reader, positions)
            while waiting:
                for message in reader.consume(MESSAGES_READ_MAX, timeout=READ_TIMEOUT_S):
                    event = self._taken(message, mark, waiting)
                    if event is not None:
                        yield event
        except KafkaException as exc:
            raise bus_error(exc, self._doing) from exc
        finally:
            reader.close()

    def _assigned(self, reader: Consumer, positions: Mapping[int, int]) -> set[int]:
        """The partitions that have something to read."""
        starts = []
        for partition in range(self._partitions):
            low, high = reader.get_watermark_offsets(
                TopicPartition(self._topic, partition), timeout=REQUEST_TIMEOUT_S, cached=False
            )
            self.ends[partition] = high
            start = positions.get(partition, OFFSET_BEGINNING)
            if max(low, start) < high:
                starts.append(TopicPartition(self._topic, partition, start if start >= low else OFFSET_BEGINNING))
        if starts:
            reader.assign(starts)
        return {start.partition for start in starts}

    def _taken(self, message: Message, mark: bytes, waiting: set[int]) -> Logged | None:
        partition = message.partition()
        if (error := message.error()) is not None:
            if error.code() == KafkaError._PARTITION_EOF and partition is not None:
                waiting.discard(partition)
            elif not isinstance(refusal := bus_error(error, self._doing), TransientError):
                raise refusal
            return None
        position, value = message.offset(), message.value()
        assert partition is not None
        assert position is not None
        if position + 1 >= self.ends[partition]:
            waiting.discard(partition)
        if position >= self.ends[partition] or value is None or not value.startswith(mark, _ID_END):
            return None
        return Logged(sequence=long_at(value, _ID_END + len(mark)), event_id=value[FRAME_BYTES:_ID_END], value=value)


def unsent(journal: Journal, tail: LogTail, source: str) -> list[Promise]:
    """The parts of promises that the log lacks, in sequence. Raises TransientError, DivergedError, JournalError.

    Promises that the log holds whole leave the journal; what the log alone knows of the source is learnt from it.
    """
    promises = journal.promises()
    promised = {one.first_sequence + place: value for one in promises for place, value in enumerate(one.values)}
    missing = set(promised)
    first_unknown = journal.next_sequence()
    learnt: list[bytes] = []
    last = first_unknown - 1
    for event in tail.events_of(source, journal.positions()):
        if event.sequence >= first_unknown:
            last = max(last, event.sequence)
            learnt.append(event.event_id)
        elif promised.get(event.sequence, event.value) != event.value:
            raise DivergedError(
                f"the log holds another event under sequence {event.sequence} of source '{source}'",
                remedy="two publish as one source: give each a source and a journal of its own",
            )
        missing.discard(event.sequence)
        if len(learnt) >= LEARNT_TOGETHER_MAX:
            journal.learn(last + 1, learnt)
            learnt = []
    if last >= first_unknown:
        journal.learn(last + 1, learnt)
    parts = [(one, _part(one, missing)) for one in promises]
    journal.settle(Kept(first_sequences=[one.first_sequence for one, part in parts if part is None]))
    return [part for _, part in parts if part is not None]


def _part(promise: Promise, missing: Collection[int]) -> Promise | None:
    """What of a promise is missing; None when nothing is."""
    places = [place for place in range(len(promise.values)) if promise.first_sequence + place in missing]
    if not places:
        return None
    return Promise(
        first_sequence=promise.first_sequence,
        keys=[promise.keys[place] for place in places],
        values=[promise.values[place] for place in places],
    )


def _group(topic: str) -> str:
    """A group that is the agency's own: the brokers let it into no other."""
    return f"{(record_type_of(topic) or topic).partition('.')[0]}.publisher"
