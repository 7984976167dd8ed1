"""Verifies that a log is whole by what it says of itself: no view and no database is asked.

Of each message a few columns are kept (about 120 bytes), so the memory is that of the log's length, not of its content.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b

import polars as pl

from bus.topics import records_topic
from consumers.audit.findings import Finding, FindingKind, missing, of_events, of_messages
from consumers.audit.log import Log, Stretch, Stretches, Tell
from consumers.materializer.check import Arrived, Checker

DIGEST_BYTES = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceSeen:
    """What a log holds of one source; it is whole when `distinct` is `highest`."""

    source: str
    messages: int
    distinct: int
    highest: int
    last_known_at: datetime

    @property
    def missing(self) -> int:
        """How many sequences up to the highest never came."""
        return self.highest - self.distinct

    @property
    def repeated(self) -> int:
        """How many messages said a sequence that had come before."""
        return self.messages - self.distinct


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """What was found in one record type's log; `count` counts also the findings that were not listed.

    `unreadable` counts messages that are no event of this record type: they wait in quarantine, and prove nothing.
    """

    record_type: str
    messages: int
    unreadable: int
    sources: tuple[SourceSeen, ...]
    findings: tuple[Finding, ...]
    count: int


def verify(log: Log, checker: Checker, *, limit: int, tell: Tell | None = None) -> Verified:
    """Reads a whole log, and names what is wrong with it; at most `limit` findings of a kind are listed.

    Partitions cannot be read at one instant. Where sequences seem to be missing, what came meanwhile is read as well.
    """
    topic = records_topic(checker.record_type.id)
    bounds = log.bounds(topic)
    seen = _seen(log, checker, bounds, tell)
    if missing(seen.events).height:
        now = log.bounds(topic)
        later = {partition: Stretch(bounds[partition].stop, now[partition].stop) for partition in bounds}
        bounds = {partition: Stretch(bounds[partition].start, now[partition].stop) for partition in bounds}
        seen = _together([seen, _seen(log, checker, later, tell)])
    kinds = [*of_messages(seen.messages, bounds), *of_events(seen.events)]
    listed = [one for kind in kinds for one in kind.findings(checker.record_type.id, limit)]
    return Verified(
        record_type=checker.record_type.id,
        messages=seen.messages.height,
        unreadable=seen.messages.height - seen.events.height,
        sources=tuple(_sources(seen.events)),
        findings=tuple(listed),
        count=sum(kind.count for kind in kinds),
    )


@dataclass(frozen=True, slots=True)
class _Seen:
    """The place and time of every message, and who says what of every event."""

    messages: pl.DataFrame
    events: pl.DataFrame


_MESSAGES = pl.Schema({"partition": pl.Int32, "position": pl.Int64, "known_at_ms": pl.Int64})
_EVENTS = pl.Schema(
    {
        "source": pl.Categorical(),
        "sequence": pl.Int64(),
        "event_id": pl.Binary(),
        "subject": pl.Binary(),
        "digest": pl.Binary(),
        "partition": pl.Int32(),
        "position": pl.Int64(),
        "known_at": pl.Datetime("us", "UTC"),
    }
)


def _seen(log: Log, checker: Checker, stretches: Stretches, tell: Tell | None) -> _Seen:
    topic = records_topic(checker.record_type.id)
    parts = [_of_batch(checker, arrived) for arrived in log.read(topic, stretches, tell=tell)]
    return _together([_Seen(_MESSAGES.to_frame(), _EVENTS.to_frame()), *parts])


def _of_batch(checker: Checker, arrived: Arrived) -> _Seen:
    places = {"partition": arrived.partitions, "position": arrived.positions, "known_at_ms": arrived.known_at_ms}
    events = checker.check(arrived).events
    digests = [_digest(arrived.values[row]) for row in events["row"]]
    columns = events.with_columns(pl.Series("digest", digests, pl.Binary)).select(_EVENTS.names())
    return _Seen(pl.DataFrame(places, schema=_MESSAGES), columns.cast(_EVENTS))


def _digest(value: bytes | None) -> bytes:
    return blake2b(value or b"", digest_size=DIGEST_BYTES).digest()


def _together(parts: Sequence[_Seen]) -> _Seen:
    return _Seen(pl.concat([part.messages for part in parts]), pl.concat([part.events for part in parts]))


def _sources(events: pl.DataFrame) -> Iterator[SourceSeen]:
    counted = events.group_by("source").agg(
        pl.len().alias("messages"),
        pl.col("sequence").n_unique().alias("distinct"),
        pl.col("sequence").max().alias("highest"),
        pl.col("known_at").max().alias("last_known_at"),
    )
    for row in counted.sort(pl.col("source").cast(pl.String)).iter_rows(named=True):
        yield SourceSeen(**row)


def shared_sources(verified: Iterable[Verified]) -> tuple[Finding, ...]:
    """Sources that write more than one topic, so that no count of theirs means anything."""
    topics: dict[str, list[str]] = {}
    for one in verified:
        for source in one.sources:
            topics.setdefault(source.source, []).append(one.record_type)
    return tuple(
        Finding(record_type=", ".join(names), kind=FindingKind.SHARED_SOURCE, source=source)
        for source, names in topics.items()
        if len(names) > 1
    )
