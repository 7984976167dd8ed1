"""Who asked for evidence, about whom, on which ground, and what left the house."""

from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg import Connection
from psycopg.rows import class_row

from consumers.accesses.record import RecordedAccess
from consumers.views import statement


def accesses(
    connection: Connection[Any], *, subject: UUID | None = None, since: datetime | None = None, limit: int
) -> list[RecordedAccess]:
    """The newest accesses first, of one person or of all; granted and denied."""
    with connection.cursor(row_factory=class_row(RecordedAccess)) as cursor:
        asked = {"subject": subject, "since": since, "limit": limit}
        return cursor.execute(statement("audit_accesses.sql"), asked).fetchall()
