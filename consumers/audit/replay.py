"""Rebuilds one record type's view from its log, up to any time or position, beside the live view.

1. `create`   a scratch database schema, empty
2. `load`     the log in columns: what the checks admit becomes a row, all else is noted with its reason
3. `settle`   the fold says which events are void, refused or duplicates
"""

from collections.abc import Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import polars as pl
from psycopg import Connection

from bus.topics import records_topic
from consumers.audit.errors import UnreadableLogError
from consumers.audit.log import Log, Stretch, Stretches, Tell
from consumers.audit.scratch import Scratch
from consumers.materializer.check import Arrived, Checker

Place = tuple[int, int]  # partition and position


@dataclass(frozen=True, slots=True, kw_only=True)
class Until:
    """Where a replay ends: before a position in each partition that is named, or after a time, or at the log's end."""

    time: datetime | None = None
    positions: Mapping[int, int] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """What a replay made: how many messages it read, how many are facts, and why the others are none."""

    record_type: str
    database_schema: str
    read_to: Mapping[int, int]
    messages: int
    facts: int
    passed_by: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """How many messages were read, and how many of them were set aside on another's word alone."""

    messages: int = 0
    set_aside: int = 0

    def __add__(self, other: "Loaded") -> "Loaded":
        return Loaded(messages=self.messages + other.messages, set_aside=self.set_aside + other.set_aside)


def stretches_until(log: Log, topic: str, until: Until) -> Stretches:
    """The part of a topic that a replay reads: from the first position there ever was."""
    stops = {partition: stretch.stop for partition, stretch in log.bounds(topic).items()}
    if until.time is not None:
        stops = log.positions_after(topic, until.time)
    for partition, position in (until.positions or {}).items():
        if partition not in stops:
            raise UnreadableLogError(
                f"topic '{topic}' has no partition {partition}", remedy=f"it has 0 to {len(stops) - 1}"
            )
        stops[partition] = position
    return {partition: Stretch(0, stop) for partition, stop in stops.items()}


def replay(
    log: Log,
    connection: Connection[Any],
    checker: Checker,
    *,
    name: str,
    stretches: Stretches,
    tell: Tell | None = None,
) -> Replayed:
    """Keeps the fold of the stretches under a name. Raises UnreadableLogError, ScratchError."""
    scratch = Scratch(connection, checker.record_type, name)
    scratch.create()
    loaded = load(log, checker, scratch, stretches=stretches, tell=tell)
    read_to = {partition: stretch.stop for partition, stretch in stretches.items()}
    scratch.settle(read_to)
    return replayed(scratch, checker, read_to=read_to, messages=loaded.messages)


def replayed(scratch: Scratch, checker: Checker, *, read_to: Mapping[int, int], messages: int) -> Replayed:
    """What a settled scratch holds."""
    facts, passed_by = scratch.counts()
    return Replayed(
        record_type=checker.record_type.id,
        database_schema=scratch.place,
        read_to=read_to,
        messages=messages,
        facts=facts,
        passed_by=passed_by,
    )


def load(
    log: Log,
    checker: Checker,
    scratch: Scratch,
    *,
    stretches: Stretches,
    set_aside: Mapping[Place, str] | None = None,
    tell: Tell | None = None,
) -> Loaded:
    """Reads stretches into a scratch.

    Messages whose place is `set_aside` are passed by for the reason given there, whatever the checks say.
    """
    loaded = Loaded()
    with ThreadPoolExecutor(1) as writer:  # the database takes one batch while the next is read and checked
        writing: Future[None] | None = None
        for arrived in log.read(records_topic(checker.record_type.id), stretches, tell=tell):
            events, passed_by, set_aside_here = _sorted_out(checker, arrived, set_aside or {})
            loaded += Loaded(messages=len(arrived.values), set_aside=set_aside_here)
            if writing is not None:
                writing.result()
            writing = writer.submit(scratch.take, events, passed_by)
        if writing is not None:
            writing.result()
    return loaded


def _sorted_out(
    checker: Checker, arrived: Arrived, set_aside: Mapping[Place, str]
) -> tuple[pl.DataFrame, Mapping[Place, str], int]:
    """The events of a batch, why its other messages are none, and how many of these are so on another's word alone."""
    checked = checker.check(arrived)
    events = checked.events.filter(pl.col("reason").is_null()) if checked.refused else checked.events
    if not checked.refused and not set_aside:
        return events, {}, 0
    places = list(zip(arrived.partitions, arrived.positions, strict=True))
    passed_by = {places[one.row]: str(one.reason) for one in checked.refused}
    aside = {place: set_aside[place] for place in places if place in set_aside}
    on_their_word = sum(passed_by.get(place) != reason for place, reason in aside.items())
    return _without(events, aside), {**passed_by, **aside}, on_their_word


def _without(events: pl.DataFrame, places: Iterable[Place]) -> pl.DataFrame:
    kinds = {name: events.schema[name] for name in ("partition", "position")}
    listed = pl.DataFrame(list(places), schema=kinds, orient="row")
    return events.join(listed, on=list(kinds), how="anti", maintain_order="left") if listed.height else events
