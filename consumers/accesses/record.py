"""The access record: one row for each request for evidence, committed before its answer leaves."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from psycopg import Connection
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
    represented_party: str | None
    purpose: str | None
    legal_basis: str | None
    effective_at: datetime | None
    known_at: datetime | None
    decision: Verdict
    reason: str | None
    evidence: Sequence[Mapping[str, Any]]


def create_accesses(connection: Connection[Any]) -> None:
    """Makes the table of accesses; harmless when repeated."""
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (DDL_LOCK,))
        connection.execute(statement("accesses.sql"))


def insert_statement() -> bytes:
    """The statement that writes the records of a batch at once; its one parameter is what `insert_parameter` gives."""
    return statement("access_insert.sql").as_string(None).encode()


def insert_parameter(accesses: Sequence[Access]) -> bytes:
    """The records of a batch as JSON."""
    return to_json(accesses)
