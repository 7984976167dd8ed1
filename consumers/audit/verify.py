"""Verifies that a log is whole by what it says of itself: no view and no database is asked.

1. `_survey`    the whole log, of which a few numbers are kept for each event (about 30 bytes)
2. `_suspects`  the numbers that may contradict each other: a hash that two events share proves nothing yet
3. `_witness`   only where there are suspects: the log once more, and of their events all that is compared
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b

import polars as pl

from bus.topics import records_topic
from consumers.audit.findings import Course, Finding, FindingKind, Found, missing, of_bounds, of_events
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
    bounds = log.bounds(records_topic(checker.record_type.id))
    survey = _Survey(bounds)
    survey.read(log, checker, bounds, tell)
    gaps = missing(survey.events)
    if gaps.height:
        now = log.bounds(records_topic(checker.record_type.id))
        survey.read(log, checker, {place: Stretch(bounds[place].stop, now[place].stop) for place in bounds}, tell)
        bounds = {place: Stretch(bounds[place].start, now[place].stop) for place in bounds}
        gaps = missing(survey.events)
    found = [
        of_bounds(bounds),
        *survey.course.end(bounds),
        Found(kind=FindingKind.MISSING, rows=gaps),
        *_contradictions(log, checker, bounds, survey.events),
    ]
    return Verified(
        record_type=checker.record_type.id,
        messages=survey.messages,
        unreadable=survey.messages - survey.events.height,
        sources=tuple(_sources(survey.events)),
        findings=tuple(finding for one in found for finding in one.findings(checker.record_type.id, limit)),
        count=sum(one.count for one in found),
    )


_NUMBERS = pl.Schema(
    {
        "source": pl.Categorical(),
        "sequence": pl.Int64(),
        "event_hash": pl.UInt64(),
        "subject_hash": pl.UInt64(),
        "partition": pl.Int32(),
        "known_at": pl.Datetime("us", "UTC"),
    }
)
_WITNESSED = ("source", "sequence", "event_id", "subject", "digest", "partition", "position")


class _Survey:
    """What is kept of every event of a log."""

    def __init__(self, bounds: Stretches) -> None:
        self.course = Course(bounds)
        self.messages = 0
        self.events = _NUMBERS.to_frame()

    def read(self, log: Log, checker: Checker, stretches: Stretches, tell: Tell | None) -> None:
        """Takes stretches that follow what was taken before."""
        parts = [self.events]
        for arrived in log.read(records_topic(checker.record_type.id), stretches, tell=tell):
            self.messages += len(arrived.values)
            places = {
                "partition": arrived.partitions,
                "position": arrived.positions,
                "known_at_ms": arrived.known_at_ms,
            }
            self.course.follow(pl.DataFrame(places, schema_overrides={"partition": pl.Int32}))
            parts.append(_hashed(checker.check(arrived).events).select(_NUMBERS.names()).cast(_NUMBERS))
        self.events = pl.concat(parts, rechunk=True)


def _hashed(events: pl.DataFrame) -> pl.DataFrame:
    return events.with_columns(event_hash=pl.col("event_id").hash(), subject_hash=pl.col("subject").hash())


def _suspects(events: pl.DataFrame) -> dict[tuple[str, ...], pl.DataFrame]:
    """Keys under which more than one event may be found that do not agree."""
    sequences = events.group_by("source", "sequence").len().filter(pl.col("len") > 1)
    ids = events.group_by("event_hash").agg(pl.col("subject_hash").n_unique()).filter(pl.col("subject_hash") > 1)
    persons = events.group_by("subject_hash").agg(pl.col("partition").n_unique()).filter(pl.col("partition") > 1)
    return {
        ("source", "sequence"): sequences.select(pl.col("source").cast(pl.String), "sequence"),
        ("event_hash",): ids.select("event_hash"),
        ("subject_hash",): persons.select("subject_hash"),
    }


def _contradictions(log: Log, checker: Checker, bounds: Stretches, events: pl.DataFrame) -> tuple[Found, ...]:
    suspects = {key: rows for key, rows in _suspects(events).items() if rows.height}
    if not suspects:
        return ()
    witnessed = [
        _witness(checker, arrived, suspects) for arrived in log.read(records_topic(checker.record_type.id), bounds)
    ]
    return of_events(pl.concat(witnessed))


def _witness(checker: Checker, arrived: Arrived, suspects: Mapping[tuple[str, ...], pl.DataFrame]) -> pl.DataFrame:
    """All that is compared of the suspected events of a batch."""
    events = _hashed(checker.check(arrived).events)
    rows = pl.concat([events.join(keys, on=list(on), how="semi")["row"] for on, keys in suspects.items()]).unique()
    chosen = events.filter(pl.col("row").is_in(rows.implode()))
    digests = [blake2b(arrived.values[row] or b"", digest_size=DIGEST_BYTES).digest() for row in chosen["row"]]
    return chosen.with_columns(pl.Series("digest", digests, pl.Binary)).select(_WITNESSED)


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
