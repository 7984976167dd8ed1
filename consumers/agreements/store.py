"""Keeps changes of agreements, and tells what they have come to."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from psycopg import AsyncConnection, Connection
from psycopg.rows import TupleRow
from pydantic import TypeAdapter

from consumers.agreements.changes import Change, ChangeKind, Rights, check, fold
from consumers.views import DDL_LOCK, statement
from registry.contracts import Agreement, AgreementId, Catalogue

CHANGES_LOCK = 0x59654167  # "YeAg": one change at a time, for each is checked against those before it
TERMS = TypeAdapter(Agreement)

_LOCK = "SELECT pg_advisory_xact_lock(%s)"
_READ = "SELECT at, agreement, kind, agency, reason, terms::text FROM yekbar.agreement_changes ORDER BY number"
_PUT = (
    "INSERT INTO yekbar.agreement_changes (at, agreement, kind, agency, reason, terms) VALUES (%s, %s, %s, %s, %s, %s)"
)


def create_agreements(connection: Connection[Any]) -> None:
    """Makes the table of changes; harmless when repeated."""
    with connection.transaction():
        connection.execute(_LOCK, (DDL_LOCK,))
        connection.execute(statement("agreements.sql"))


def new_change(
    name: AgreementId, kind: ChangeKind, *, agency: str, reason: str | None = None, terms: Agreement | None = None
) -> Change:
    """A change that is made now."""
    return Change(at=datetime.now(UTC), agreement=name, kind=kind, agency=agency, reason=reason, terms=terms)


def make(connection: Connection[Any], catalogue: Catalogue, change: Change) -> Rights:
    """Makes a change, and gives what the agreements have come to. Raises AgreementError when it may not be made."""
    with connection.transaction():
        connection.execute(_LOCK, (CHANGES_LOCK,))
        before = read_changes(connection)
        check(catalogue, fold(catalogue, before), change)
        connection.execute(_PUT, _row(change))
    return fold(catalogue, [*before, change])


def read_changes(connection: Connection[Any]) -> Sequence[Change]:
    """Every change, in the order in which they were made."""
    return _changes(connection.execute(_READ).fetchall())


async def read_changes_async(connection: AsyncConnection[Any]) -> Sequence[Change]:
    """Every change, in the order in which they were made."""
    return _changes(await (await connection.execute(_READ)).fetchall())


async def put_changes_async(connection: AsyncConnection[Any], changes: Iterable[Change]) -> None:
    """Makes changes that need no check: those of the harvest defence, which only ever suspends."""
    async with connection.transaction():
        await connection.execute(_LOCK, (CHANGES_LOCK,))
        for change in changes:
            await connection.execute(_PUT, _row(change))


def _row(change: Change) -> Sequence[Any]:
    terms = None if change.terms is None else TERMS.dump_json(change.terms).decode()
    return (change.at, change.agreement, change.kind, change.agency, change.reason, terms)


def _changes(rows: Iterable[TupleRow]) -> Sequence[Change]:
    return [
        Change(
            at=at,
            agreement=AgreementId(agreement),
            kind=ChangeKind(kind),
            agency=agency,
            reason=reason,
            terms=None if terms is None else TERMS.validate_json(terms),
        )
        for at, agreement, kind, agency, reason, terms in rows
    ]
