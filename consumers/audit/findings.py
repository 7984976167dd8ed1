"""What can be wrong with a log, each kind found in columns. Pure.

Columns of messages: partition, position, known_at_ms. Columns of events: source, sequence, event_id, subject, digest
(of the whole value), partition, position.
"""

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


def of_messages(messages: pl.DataFrame, bounds: Stretches) -> tuple[Found, ...]:
    """What the places and times of all messages say; `bounds` is what the log said that it holds."""
    held = pl.DataFrame(
        [(partition, stretch.start, stretch.stop) for partition, stretch in bounds.items()],
        schema={"partition": pl.Int32, "start": pl.Int64, "stop": pl.Int64},
        orient="row",
    )
    ends = [held.select("partition", position=pl.col("start") - 1), held.select("partition", position=pl.col("stop"))]
    places = pl.concat([messages.select("partition", "position"), *ends]).sort("partition", "position")
    before = pl.col("position").shift(1).over("partition")
    holes = places.with_columns(before=before).filter(pl.col("position") - pl.col("before") > 1)
    earlier = pl.col("known_at_ms").shift(1).over("partition")
    backwards = messages.sort("partition", "position").filter(pl.col("known_at_ms") < earlier)
    cut = held.filter(pl.col("start") > 0).select("partition", positions=_range(pl.lit(0), pl.col("start") - 1))
    return (
        Found(kind=FindingKind.CUT, rows=cut),
        Found(
            kind=FindingKind.HOLE,
            rows=holes.select("partition", positions=_range(pl.col("before") + 1, pl.col("position") - 1)),
        ),
        Found(kind=FindingKind.BACKWARDS, rows=backwards.select("partition", positions=_range("position", "position"))),
    )


def of_events(events: pl.DataFrame) -> tuple[Found, ...]:
    """What the events say of themselves."""
    ordered = events.sort("partition", "position")
    numbered = _disagreeing(ordered, ["source", "sequence"], pl.col("event_id").n_unique() > 1)
    same_event = _disagreeing(
        ordered, ["source", "sequence"], (pl.col("event_id").n_unique() == 1) & (pl.col("digest").n_unique() > 1)
    )
    persons = _disagreeing(ordered, ["event_id"], pl.col("subject").n_unique() > 1)
    partitions = _disagreeing(ordered, ["subject"], pl.col("partition").n_unique() > 1)
    sequences = _range("sequence", "sequence")
    return (
        Found(kind=FindingKind.MISSING, rows=missing(events)),
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
    """For each key whose events disagree, the last of them, with its place as `positions`.

    Nearly every key has one event; the few that have more are set apart before anything is grouped.
    """
    repeated = ordered.filter(pl.struct(key).is_duplicated())
    verdict = repeated.group_by(key, maintain_order=True).agg(disagree.alias("disagree"), pl.all().last())
    return verdict.filter("disagree").with_columns(positions=_range("position", "position"))


def _range(first: pl.Expr | str, last: pl.Expr | str) -> pl.Expr:
    return pl.concat_list(first, last)
