"""Findings: what quality rules that flag say of events that were applied, until somebody mends what is wrong.

The table is the truth: a finding is written in the transaction that applies its event, so it is there exactly once. The
topic `quality.findings` is fed from it after the commit. Nothing of a person is in either but the pseudonym.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import polars as pl
from psycopg import Connection, errors, sql
from psycopg.rows import class_row

from bus.findings import FindingState, finding_state
from consumers.copying import copy, copy_bytes
from consumers.errors import NotFoundError
from consumers.views import DDL_LOCK, statement
from registry.contracts import RecordType, Severity

LISTED_MAX = 1_000  # rows a list shows at most: a person reads them
# The columns in which a checker tells what it doubts, an event a rule.
DOUBTED = ("subject", "event_id", "partition", "position", "known_at")
_WRITTEN = ("rule", "field", *DOUBTED)


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleFindings:
    """What one rule has found so far; `open_since` is when the bus learnt of the oldest event that is still open."""

    agency: str
    record_type: str
    rule: str
    field: str
    found: int
    open: int
    open_since: datetime | None
    last_found: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One finding, named by where the log has its event."""

    finding: int
    agency: str
    record_type: str
    rule: str
    field: str
    event_id: UUID
    partition: int
    position: int
    known_at: datetime
    found_at: datetime
    undone_at: datetime | None
    settled_at: datetime | None
    is_open: bool

    @property
    def state(self) -> FindingState:
        """Whether it is open, and if not, why."""
        return finding_state(undone_at=self.undone_at, settled_at=self.settled_at)


def create_findings(connection: Connection[Any]) -> None:
    """Makes the tables; harmless when repeated."""
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (DDL_LOCK,))
        connection.execute(statement("findings.sql"))


def put_findings(
    connection: Connection[Any], record_type: RecordType, doubts: pl.DataFrame, *, without: Collection[tuple[int, int]]
) -> int:
    """Writes what was found of events that were applied, in the caller's transaction; how many.

    `without` are the places of events that were not applied after all.
    """
    if without and doubts.height:
        kinds = {"partition": pl.Int32, "position": pl.Int64}
        doubts = doubts.join(pl.DataFrame(list(without), schema=kinds, orient="row"), on=list(kinds), how="anti")
    if not doubts.height:
        return 0
    rows = doubts.select(
        pl.lit(str(record_type.agency)).alias("agency"), pl.lit(str(record_type.id)).alias("record_type"), *_WRITTEN
    ).sort("subject", maintain_order=True)
    try:
        with connection.transaction():
            copy(connection, sql.Identifier("quality", "findings"), rows.columns, copy_bytes(rows))
    except errors.UniqueViolation:
        _put_those_not_there(connection, record_type, doubts)
    return doubts.height


def _put_those_not_there(connection: Connection[Any], record_type: RecordType, doubts: pl.DataFrame) -> None:
    connection.execute(
        statement("findings_put.sql"),
        {
            "agency": record_type.agency,
            "record_type": record_type.id,
            "rules": doubts["rule"].to_list(),
            "fields": doubts["field"].to_list(),
            "subjects": _uuids(doubts["subject"]),
            "event_ids": _uuids(doubts["event_id"]),
            "partitions": doubts["partition"].to_list(),
            "positions": doubts["position"].to_list(),
            "known_at": doubts["known_at"].to_list(),
        },
    )


def follow_events(connection: Connection[Any], record_type: RecordType, undoing: pl.DataFrame) -> None:
    """Closes findings whose events are void now, and opens those whose events no longer are; in the transaction.

    `undoing` are the events of the batch that correct or annul.
    """
    if undoing.height and any(rule.severity is Severity.FLAG for rule in record_type.rules):
        connection.execute(
            statement("findings_follow.sql").format(schema=sql.Identifier(record_type.id)),
            {"record_type": record_type.id, "subjects": _uuids(undoing["subject"].unique())},
        )


def findings_by_rule(
    connection: Connection[Any], *, agency: str | None = None, rule: str | None = None, only_open: bool = False
) -> list[RuleFindings]:
    """What each rule has found, those with most open first. Raises NotFoundError where there is no table."""
    with _there(), connection.cursor(row_factory=class_row(RuleFindings)) as cursor:
        parameters = {"agency": agency, "rule": rule, "only_open": only_open}
        return cursor.execute(statement("findings_by_rule.sql"), parameters).fetchall()


def list_findings(
    connection: Connection[Any], *, agency: str | None = None, rule: str | None = None, only_open: bool = False
) -> list[Finding]:
    """The newest findings first, at most LISTED_MAX. Raises NotFoundError where there is no table."""
    with _there(), connection.cursor(row_factory=class_row(Finding)) as cursor:
        parameters = {"agency": agency, "rule": rule, "only_open": only_open, "limit": LISTED_MAX}
        return cursor.execute(statement("findings_list.sql"), parameters).fetchall()


@contextmanager
def _there() -> Iterator[None]:
    """Says what to do where there is no table."""
    try:
        yield
    except errors.UndefinedTable as exc:
        raise NotFoundError(
            "the database has no findings", remedy="make their table with 'yekbar catalogue apply'"
        ) from exc


def _uuids(ids: Iterable[bytes]) -> Sequence[UUID]:
    return [UUID(bytes=one) for one in ids]
