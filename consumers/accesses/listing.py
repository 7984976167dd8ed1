"""A person's own list: who asked what about her, when, for which procedure, and what left."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import dict_row

from consumers.views import statement

PAGE_MAX = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One page of a list; `next_before` is where the next one begins, None at the end."""

    rows: Sequence[Mapping[str, Any]]
    next_before: UUID | None


async def accesses_of(connection: AsyncConnection[Any], subject: UUID, *, before: UUID | None, limit: int) -> Page:
    """A page of a person's accesses, newest first: access ids rise with time."""
    asked = {"subject": subject, "before": before, "limit": min(limit, PAGE_MAX) + 1}
    async with connection.cursor(row_factory=dict_row) as cursor:
        rows = await (await cursor.execute(statement("access_page.sql"), asked)).fetchall()
    shown = rows[: min(limit, PAGE_MAX)]
    return Page(rows=shown, next_before=shown[-1]["access_id"] if len(rows) > len(shown) else None)
