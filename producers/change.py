"""What an agency says of one record, before it has a subject, a sequence and an id."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from bus.envelope import ChangeKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One change to one record of one person. Times are aware; the period is half-open; the id is never shown.

    `record_key` repeats the body's key field, and stands alone where there is no body. Without an `event_id` the
    publisher makes one; a change that is sent again keeps the one that it had.
    """

    national_id: str = field(repr=False)
    change_kind: ChangeKind
    effective_from: datetime
    effective_to: datetime | None = None
    recorded_at: datetime
    record_key: str = ""
    previous_event_id: UUID | None = None
    body: Mapping[str, Any] | None = field(default=None, repr=False)
    under_investigation: tuple[str, ...] = ()
    event_id: UUID | None = None
