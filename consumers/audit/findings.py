"""What can be wrong with a log, each kind found in columns. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from uuid import UUID

import polars as pl

from consumers.audit.log import Stretches


class FindingKind(StrEnum):
    """What is wrong with a log."""

    CUT = "the log's start is gone"
    HOLE = "positions without a message"
    BACKWARDS = "time runs backwards"
    MISSING = "sequences that never came"
    EQUIVOCATION = "one sequence, two events"
    OTHER_BYTES = "one event, two contents"
    TWO_PERSONS = "one event id, two persons"
    TWO_PARTITIONS = "one person, two partitions"
    SHARED_SOURCE = "one source, two topics"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is wrong, and where. Ranges are closed; nothing of a body is told."""

    record_type: str
    kind: FindingKind
    source: str | None = None
    sequences: tuple[int, int] | None = None
    partition: int | None = None
    positions: tuple[int, int] | None = None
    event_id: UUID | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """All findings of one kind, still in columns that are named like the fields of a finding."""

    kind: FindingKind
    rows: pl.DataFrame

    @property
    def count(self) -> int:
        """How many there are."""
        return self.rows.height

    def findings(self, record_type: str, limit: int) -> Iterator[Finding]:
        """The first ones."""
        for row in self.rows.head(limit).iter_rows(named=True):
            named = {name: _read(name, value) for name, value in row.items()}
            yield Finding(record_type=record_type, kind=self.kind, **named)


def _read(name: str, value: Any) -> Any:
    if name == "event_id":
        return UUID(bytes=value)
    return tuple(value) if isinstance(value, list) else value


def of_bounds(bounds: Stretches) -> Found:
    """What is gone from the start of a log."""
    cut = [(partition, [0, stretch.start - 1]) for partition, stretch in bounds.items() if stretch.start > 0]
    return Found(kind=FindingKind.CUT, rows=pl.DataFrame(cut, schema=_NO_RANGES.schema, orient="row"))


class Course:
    """The course of each partition's positions and times, told batch by batch."""

    def __init__(self, bounds: Stretches) -> None:
        before_first = [(partition, stretch.start - 1, None) for partition, stretch in bounds.items()]
        self._last = pl.DataFrame(before_first, schema=_PLACES, orient="row")
        self._holes: list[pl.DataFrame] = []
        self._backwards: list[pl.DataFrame] = []

    def follow(self, places: pl.DataFrame) -> None:
        """Takes what follows; the columns are partition, position and known_at_ms, each partition in its order."""
        course = pl.concat([self._last, places]).with_columns(
            before=pl.col("position").shift(1).over("partition"),
            earlier=pl.col("known_at_ms").shift(1).over("partition"),
        )
        holes = course.filter(pl.col("position") - pl.col("before") > 1)
        backwards = course.filter(pl.col("known_at_ms") < pl.col("earlier"))
        if holes.height:
            between = _range(pl.col("before") + 1, pl.col("position") - 1)
            self._holes.append(holes.select("partition", positions=between))
        if backwards.height:
            self._backwards.append(backwards.select("partition", positions=_range("position", "position")))
        self._last = course.group_by("partition", maintain_order=True).last().select(_PLACES.names())

    def end(self, bounds: Stretches) -> tuple[Found, ...]:
        """What was found, when nothing follows: a log that ends before it says has a hole there."""
        ends = [(partition, stretch.stop, None) for partition, stretch in bounds.items()]
        self.follow(pl.DataFrame(ends, schema=_PLACES, orient="row"))
        return (
            Found(kind=FindingKind.HOLE, rows=pl.concat([_NO_RANGES, *self._holes])),
            Found(kind=FindingKind.BACKWARDS, rows=pl.concat([_NO_RANGES, *self._backwards])),
        )


_PLACES = pl.Schema({"partition": pl.Int32(), "position": pl.Int64(), "known_at_ms": pl.Int64()})
_NO_RANGES = pl.DataFrame(schema={"partition": pl.Int32(), "positions": pl.List(pl.Int64())})


def of_events(events: pl.DataFrame) -> tuple[Found, ...]:
    """Events that contradict each other.

    Columns: source, sequence, event_id, subject, digest (of the whole value), partition, position.
    """
    ordered = events.sort("partition", "position")
    numbered = _disagreeing(ordered, ["source", "sequence"], pl.col("event_id").n_unique() > 1)
    same_event = _disagreeing(
        ordered, ["source", "sequence"], (pl.col("event_id").n_unique() == 1) & (pl.col("digest").n_unique() > 1)
    )
    persons = _disagreeing(ordered, ["event_id"], pl.col("subject").n_unique() > 1)
    partitions = _disagreeing(ordered, ["subject"], pl.col("partition").n_unique() > 1)
    sequences = _range("sequence", "sequence")
    return (
        *(
            Found(kind=kind, rows=rows.select("source", "partition", "positions", "event_id", sequences=sequences))
            for kind, rows in ((FindingKind.EQUIVOCATION, numbered), (FindingKind.OTHER_BYTES, same_event))
        ),
        Found(kind=FindingKind.TWO_PERSONS, rows=persons.select("partition", "positions", "event_id")),
        Found(kind=FindingKind.TWO_PARTITIONS, rows=partitions.select("partition", "positions", "event_id")),
    )


def missing(events: pl.DataFrame) -> pl.DataFrame:
    """The ranges of sequences, from 1 to each source's highest, that no event has."""
    seen = events.filter(pl.col("sequence") > 0).select("source", "sequence").unique().sort("source", "sequence")
    before = pl.col("sequence").shift(1, fill_value=0).over("source")
    gaps = seen.with_columns(before=before).filter(pl.col("sequence") - pl.col("before") > 1)
    return gaps.select("source", sequences=_range(pl.col("before") + 1, pl.col("sequence") - 1))


def _disagreeing(ordered: pl.DataFrame, key: list[str], disagree: pl.Expr) -> pl.DataFrame:
    """For each key whose events disagree, the last of them, with its place as `positions`."""
    verdict = ordered.group_by(key, maintain_order=True).agg(disagree.alias("disagree"), pl.all().last())
    return verdict.filter("disagree").with_columns(positions=_range("position", "position"))


def _range(first: pl.Expr | str, last: pl.Expr | str) -> pl.Expr:
    return pl.concat_list(first, last)
