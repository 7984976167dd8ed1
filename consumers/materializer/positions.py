"""Positions: how far each view has read each partition of its topic, and the fence between two who would write it.

An owner takes a partition over by raising its generation. From then on the owner before it changes no row and stops.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg import Connection

from consumers.views import DDL_LOCK, statement

START_OF_LOG = 0


class FencedError(Exception):
    """Another process has taken the partition over, or the batch is not the next one: stop, and apply nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Owned:
    """A partition of a view's topic that this process may write, and the position it reads next."""

    view: str
    partition: int
    generation: int
    next_position: int


def create_positions(connection: Connection[Any]) -> None:
    """Makes the table of positions; harmless when repeated."""
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (DDL_LOCK,))
        connection.execute(statement("positions.sql"))


def take_over(connection: Connection[Any], *, view: str, topic: str, partition: int) -> Owned:
    """The partition as ours, at the position that was committed last; a view without one starts at the log's start."""
    row = connection.execute(
        "INSERT INTO yekbar.positions AS held (view, partition, topic, generation, next_position)"
        " VALUES (%s, %s, %s, 1, %s)"
        " ON CONFLICT (view, partition) DO UPDATE SET generation = held.generation + 1"
        " RETURNING generation, next_position",
        (view, partition, topic, START_OF_LOG),
    ).fetchone()
    assert row is not None
    return Owned(view=view, partition=partition, generation=row[0], next_position=row[1])


def advance(connection: Connection[Any], owned: Owned, *, next_position: int, known_at: datetime | None) -> Owned:
    """The partition read further, in the caller's transaction, which keeps the row locked. Raises FencedError."""
    assert next_position >= owned.next_position
    moved = connection.execute(
        "UPDATE yekbar.positions SET next_position = %s, known_at = coalesce(%s, known_at)"
        " WHERE view = %s AND partition = %s AND generation = %s AND next_position = %s",
        (next_position, known_at, owned.view, owned.partition, owned.generation, owned.next_position),
    ).rowcount
    if not moved:
        raise FencedError(f"partition {owned.partition} of view '{owned.view}' was taken over by another process")
    return Owned(view=owned.view, partition=owned.partition, generation=owned.generation, next_position=next_position)
