"""How fresh the views are: until when everything that the bus had is in them.

The materializer says, in the row of each partition, when it last stood at the end of the log. The oldest of these
times is what an answer vouches for.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from consumers.evidence.pipe import Row
from registry.contracts import RecordType, RecordTypeId

POSITIONS = (
    b"SELECT view, (extract(epoch FROM min(caught_up_at)) * 1000000)::bigint, count(*) = count(caught_up_at)"
    b" FROM yekbar.positions GROUP BY view"
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class SourceState(StrEnum):
    """Whether the source itself is heard; unknown until its first heartbeat."""

    LIVE = "live"
    SILENT = "silent"
    UNKNOWN = "unknown"


class Staleness(StrEnum):
    """Why evidence is too old to be given."""

    NEVER_CAUGHT_UP = "never-caught-up"
    OLDER_THAN_PROMISED = "older-than-promised"
    OLDER_THAN_AGREED = "older-than-agreed"
    KNOWN_LATER = "not-yet-read-to-known-at"


@dataclass(frozen=True, slots=True, kw_only=True)
class Freshness:
    """Everything that the bus had at `as_of` is in the evidence; None when nobody can say."""

    as_of: datetime | None
    lag_s: float | None
    source_state: SourceState


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock:
    """The views' own times as they were read together, and the time of reading."""

    caught_up: Mapping[RecordTypeId, datetime]
    now: datetime

    @classmethod
    def of_rows(cls, rows: Iterable[Row], now: datetime) -> "Clock":
        """The clock that the rows of POSITIONS say; a view with a partition never caught up has no time."""
        caught_up = {}
        for view, at, is_complete in rows:
            assert view is not None
            if at is not None and is_complete == b"t":
                caught_up[RecordTypeId(view.decode())] = _EPOCH + timedelta(microseconds=int(at))
        return cls(caught_up=caught_up, now=now)

    def freshness(self, views: Iterable[RecordTypeId], *, known_at: datetime | None = None) -> Freshness:
        """How fresh evidence over these views is: as fresh as the oldest; as known at an instant, no later than it."""
        times = [self.caught_up.get(view) for view in views]
        known = [time for time in times if time is not None]
        if len(known) < len(times):
            return Freshness(as_of=None, lag_s=None, source_state=SourceState.UNKNOWN)
        if known_at is not None:
            return Freshness(as_of=min(*known, known_at), lag_s=0.0, source_state=SourceState.UNKNOWN)
        as_of = min(known)
        lag_s = max((self.now - as_of).total_seconds(), 0.0)
        return Freshness(as_of=as_of, lag_s=round(lag_s, 3), source_state=SourceState.UNKNOWN)

    def staleness(
        self, record_types: Iterable[RecordType], *, age_max: timedelta | None, known_at: datetime | None
    ) -> Staleness | None:
        """Why evidence over these views is too old; None when it is fresh.

        What was known at an earlier instant does not age: it needs views that were read up to that instant only.
        """
        for record_type in record_types:
            as_of = self.caught_up.get(record_type.id)
            if as_of is None:
                return Staleness.NEVER_CAUGHT_UP
            if known_at is not None:
                if as_of < known_at:
                    return Staleness.KNOWN_LATER
            elif self.now - as_of > record_type.freshness:
                return Staleness.OLDER_THAN_PROMISED
            elif age_max is not None and self.now - as_of > age_max:
                return Staleness.OLDER_THAN_AGREED
        return None
