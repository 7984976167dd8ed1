"""Positions: how far each view has read each partition of its topic, and the fence between two who would write it.

An owner takes a partition over by raising its generation. From then on the owner before it changes no row and stops.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from psycopg import Connection

from consumers.errors import FencedError, LogAccidentError
from consumers.views import DDL_LOCK, statement

START_OF_LOG = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Owned:
    """A partition of a view's topic that this process may write, and the position it reads next."""

    view: str
    partition: int
    generation: int
    next_position: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """A partition read on to `next_position`; `known_at` is when the log took its last event."""

    owned: Owned
    next_position: int
    known_at: datetime | None


def create_positions(connection: Connection[Any]) -> None:
    """Makes the tables of positions and sources; harmless when repeated."""
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (DDL_LOCK,))
        connection.execute(statement("positions.sql"))
        connection.execute(statement("sources.sql"))


def take_over(connection: Connection[Any], *, view: str, topic: str, topic_id: str, partition: int) -> Owned:
    """The partition as ours, at the position that was committed last; a view without one starts at the log's start.

    `topic_id` is Kafka's id of the topic (KIP-516). Raises LogAccidentError when the position belongs to another one.
    """
    row = connection.execute(
        "INSERT INTO yekbar.positions AS held (view, partition, topic, topic_id, generation, next_position)"
        " VALUES (%s, %s, %s, %s, 1, %s)"
        " ON CONFLICT (view, partition) DO UPDATE SET generation = held.generation + 1"
        " RETURNING generation, next_position, topic_id",
        (view, partition, topic, topic_id, START_OF_LOG),
    ).fetchone()
    assert row is not None
    if row[2] != topic_id:
        raise another_topic(topic, read=row[2], found=topic_id)
    return Owned(view=view, partition=partition, generation=row[0], next_position=row[1])


def another_topic(topic: str, *, read: str, found: str) -> LogAccidentError:
    """Tells that a topic is not the one that the view was read from, by Kafka's ids of both."""
    return LogAccidentError(
        f"topic '{topic}' was deleted and made anew: its view was read from topic id {read}, the broker has {found}",
        remedy="restore the topic, or rebuild the view: see the runbook, 'a topic was made anew'",
    )


def advance(connection: Connection[Any], moves: Sequence[Move]) -> tuple[Owned, ...]:
    """The partitions of one view, read on, in the caller's transaction, which keeps the rows locked.

    Raises FencedError when any of them is no longer ours, or is not where the move begins.
    """
    assert all(move.next_position >= move.owned.next_position for move in moves)
    view = moves[0].owned.view
    moved = connection.execute(
        statement("advance.sql"),
        {
            "view": view,
            "partitions": [move.owned.partition for move in moves],
            "generations": [move.owned.generation for move in moves],
            "from": [move.owned.next_position for move in moves],
            "to": [move.next_position for move in moves],
            "known_at": [move.known_at for move in moves],
        },
    ).rowcount
    if moved != len(moves):
        partitions = ", ".join(str(move.owned.partition) for move in moves)
        raise FencedError(f"one of the partitions {partitions} of view '{view}' was taken over by another process")
    return tuple(replace(move.owned, next_position=move.next_position) for move in moves)


def mark_caught_up(connection: Connection[Any], owned: Sequence[Owned], at: datetime) -> None:
    """Says that everything the log held at an instant is in the view, for partitions that stand where they are said."""
    connection.execute(
        "UPDATE yekbar.positions AS held SET caught_up_at = %s"
        " FROM unnest(%s::text[], %s::integer[], %s::bigint[], %s::bigint[])"
        " AS mine (view, partition, generation, next_position)"
        " WHERE (held.view, held.partition, held.generation) = (mine.view, mine.partition, mine.generation)"
        " AND held.next_position >= mine.next_position",
        (
            at,
            [one.view for one in owned],
            [one.partition for one in owned],
            [one.generation for one in owned],
            [one.next_position for one in owned],
        ),
    )
