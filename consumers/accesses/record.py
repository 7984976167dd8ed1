"""The access record: one row for each request for evidence, committed before its answer leaves."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from psycopg import Connection, sql
from pydantic_core import to_json

from consumers.views import DDL_LOCK, statement


class Verdict(StrEnum):
    """Whether any evidence type that was asked for was permitted."""

    GRANTED = "granted"
    DENIED = "denied"


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """One request and what became of it; the fields are the table's columns."""

    access_id: UUID
    at: datetime
    requester: str
    procedure: str | None
    subject: UUID | None
    case_reference: str | None
    acting_user: str | None
    representative: UUID | None = None
    purpose: str | None
    legal_basis: str | None
    effective_at: datetime | None
    known_at: datetime | None
    decision: Verdict
    reason: str | None
    evidence: Sequence[Mapping[str, Any]]


class Delivery(StrEnum):
    """Whether the answer was handed over; possibly, when the instance that gave it died before it could say so."""

    DELIVERED = "delivered"
    POSSIBLY_DELIVERED = "possibly-delivered"


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedAccess(Access):
    """An access as it is read again."""

    delivery: Delivery


def create_accesses(connection: Connection[Any]) -> None:
    """Makes the tables of accesses and of the instances that answer; harmless when repeated."""
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (DDL_LOCK,))
        connection.execute(statement("accesses.sql"))
        connection.execute(statement("evidence_instances.sql"))


def insert_statement(instance: UUID) -> bytes:
    """The statement that writes a batch of an instance's records; its parameter is what `insert_parameter` gives."""
    tag = sql.SQL("{}::uuid").format(sql.Literal(str(instance)))
    return statement("access_insert.sql").format(instance=tag).as_string(None).encode()


def insert_parameter(accesses: Sequence[Access]) -> bytes:
    """The records of a batch as JSON."""
    return to_json(accesses)
