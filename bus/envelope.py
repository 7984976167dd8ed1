"""The envelope: what every event carries around the contract's body, as a value."""

import os
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID


class ChangeKind(StrEnum):
    """What an event does to a record. The order is the Avro enum's: columns carry the index."""

    CREATED = "created"
    CEASED = "ceased"
    CORRECTED = "corrected"
    ANNULLED = "annulled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One change to one record, on the bus. Times are aware, in UTC, to the microsecond; periods are half-open."""

    event_id: UUID
    source: str
    sequence: int
    change_kind: ChangeKind
    previous_event_id: UUID | None = None
    subject: UUID
    record_key: str = ""
    effective_from: datetime
    effective_to: datetime | None = None
    recorded_at: datetime
    under_investigation: tuple[str, ...] = ()
    body: Mapping[str, Any] | None = None

    def to_avro(self) -> dict[str, Any]:
        """The record that the composed event schema serializes."""
        return {
            "event_id": self.event_id.bytes,
            "source": self.source,
            "sequence": self.sequence,
            "change_kind": self.change_kind.value,
            "previous_event_id": self.previous_event_id and self.previous_event_id.bytes,
            "subject": self.subject.bytes,
            "record_key": self.record_key,
            "effective_from": self.effective_from,
            "effective_to": self.effective_to,
            "recorded_at": self.recorded_at,
            "under_investigation": list(self.under_investigation),
            "body": self.body,
        }

    @classmethod
    def from_avro(cls, record: Mapping[str, Any]) -> "Event":
        """The event that a deserialized record says."""
        previous = record["previous_event_id"]
        return cls(
            event_id=UUID(bytes=record["event_id"]),
            source=record["source"],
            sequence=record["sequence"],
            change_kind=ChangeKind(record["change_kind"]),
            previous_event_id=UUID(bytes=previous) if previous is not None else None,
            subject=UUID(bytes=record["subject"]),
            record_key=record["record_key"],
            effective_from=record["effective_from"],
            effective_to=record["effective_to"],
            recorded_at=record["recorded_at"],
            under_investigation=tuple(record["under_investigation"]),
            body=record["body"],
        )


class EventIdMaker:
    """Makes uuid v7 ids (RFC 9562, section 6.2, method 1) that rise strictly within one process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last_ms = 0
        self._counter = 0

    def __call__(self) -> UUID:
        """A new id, above every id that this maker made before, also when the clock jumps back."""
        with self._lock:
            now_ms = time.time_ns() // 1_000_000
            if now_ms > self._last_ms:
                self._last_ms, self._counter = now_ms, 0
            else:
                self._counter += 1
                if self._counter >> 12:  # the 12 bits beside the version are full: borrow from the future
                    self._last_ms, self._counter = self._last_ms + 1, 0
            head = (self._last_ms << 16 | 0x7000 | self._counter) << 64
        return UUID(int=head | 1 << 63 | int.from_bytes(os.urandom(8)) >> 2)
