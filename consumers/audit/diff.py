"""Compares a live view with the replay of its log, row by row and column by column, inside the database.

1. the log is replayed to the view's position, while the materializer goes on
2. in one repeatable-read snapshot: the position it has by now, the rest of the log up to there, fold and comparison

So the snapshot is held only for the last stretch. Nothing is written but the scratch, which is dropped at the end.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import psycopg
from psycopg import Connection, IsolationLevel

from bus.topics import records_topic
from consumers.audit.errors import AuditError
from consumers.audit.live import Difference, LiveView
from consumers.audit.log import Log, Stretch, Stretches, Tell
from consumers.audit.replay import Replayed, load, replayed
from consumers.audit.scratch import Scratch
from consumers.materializer.check import Checker


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """A live view beside the replay of its log; `count` counts also the differences that were not listed.

    `set_aside` counts what was passed by on the quarantine's word alone: its reason depends on the time.
    """

    replayed: Replayed
    set_aside: int
    differences: tuple[Difference, ...]
    count: int

    @property
    def is_equal(self) -> bool:
        """Whether the view says what its log says."""
        return self.count == 0


def diff(log: Log, connection: Connection[Any], checker: Checker, *, limit: int, tell: Tell | None = None) -> Compared:
    """Compares, and lists at most `limit` differences of a sort. Raises NotFoundError, LogAccidentError, AuditError."""
    scratch = Scratch(connection, checker.record_type, f"diff-{uuid4().hex[:8]}")
    live = LiveView(connection, checker.record_type)
    live.refuse_absent()
    live.refuse_another_log(log.topic_id(records_topic(checker.record_type.id)))
    scratch.create()
    try:
        before = live.positions()
        stretches = {partition: Stretch(0, stop) for partition, stop in before.items()}
        loaded = load(log, checker, scratch, stretches=stretches, set_aside=live.set_aside(), tell=tell)
        with _snapshot(connection):
            now = live.positions()
            rest = _rest(before, now)
            loaded += load(log, checker, scratch, stretches=rest, set_aside=live.set_aside(), tell=tell)
            scratch.settle(now)
            differences, count = live.differences(scratch, limit)
            return Compared(
                replayed=replayed(scratch, checker, read_to=now, messages=loaded.messages),
                set_aside=loaded.set_aside,
                differences=differences,
                count=count,
            )
    finally:
        with suppress(psycopg.Error):
            scratch.drop()


@contextmanager
def _snapshot(connection: Connection[Any]) -> Iterator[None]:
    """One transaction that sees one state of the database; what the audit wrote before is part of it."""
    connection.isolation_level = IsolationLevel.REPEATABLE_READ
    try:
        with connection.transaction():
            yield
    finally:
        connection.isolation_level = None


def _rest(before: Mapping[int, int], now: Mapping[int, int]) -> Stretches:
    if any(now.get(partition, 0) < position for partition, position in before.items()):
        raise AuditError("the view was rebuilt while it was audited", remedy="run the audit again")
    return {partition: Stretch(before.get(partition, 0), stop) for partition, stop in now.items()}
