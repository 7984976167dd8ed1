"""How fresh and how complete the views are: until when everything that the bus had is in them.

The materializer says, in the row of each partition, when it last stood at the end of the log; the oldest of these times
is what an answer vouches for. It also counts what each source sent: a number below the highest sequence is an event
that was lost on its way. A source that has a heartbeat says itself how far it has come: when all of that is there, the
view holds everything that the source had sent until then; and when the heart stops, nobody knows what it would say.
"""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from consumers.evidence.pipe import Row
from consumers.views import statement
from registry.contracts import RecordType, RecordTypeId

HEARTBEATS_MISSED = 3  # one may be late; after three the source is not heard
GAP_WINDOW_S = 10.0  # an event that another partition brings later is not missing; one that is missing stays so
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class SourceState(StrEnum):
    """Whether the sources are heard, and whether all they sent is there, from the best to the worst."""

    LIVE = "live"
    UNKNOWN = "unknown"
    SILENT = "silent"
    INCOMPLETE = "incomplete"


class Staleness(StrEnum):
    """Why evidence is too old to be given."""

    NEVER_CAUGHT_UP = "never-caught-up"
    OLDER_THAN_PROMISED = "older-than-promised"
    OLDER_THAN_AGREED = "older-than-agreed"
    KNOWN_LATER = "not-yet-read-to-known-at"
    SOURCE_SILENT = "source-silent"


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What is known of a view's sources: the events that are missing, and when one of them was heard last.

    Of those with a heartbeat: everything that they had sent until `complete_until` is there, and the quietest of them
    was heard at `quietest_at`.
    """

    missing: int
    at: datetime | None
    complete_until: datetime | None = None
    quietest_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Freshness:
    """Everything that the bus had at `as_of`, and all that the sources had sent until `complete_until`, is in it.

    None when nobody can say.
    """

    as_of: datetime | None
    lag_s: float | None
    source_state: SourceState
    heard_at: datetime | None
    missing_events: int
    complete_until: datetime | None = None


_UNHEARD = Heard(missing=0, at=None)
_STATES = list(SourceState)


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock:
    """The views' own times as they were read together, and the time of reading."""

    caught_up: Mapping[RecordTypeId, datetime]
    heard: Mapping[RecordTypeId, Heard] = field(default_factory=dict)
    now: datetime

    def at(self, now: datetime) -> "Clock":
        """The same reading, later: an old reading only promises less."""
        return Clock(caught_up=self.caught_up, heard=self.heard, now=now)

    def freshness(self, record_types: Iterable[RecordType], *, known_at: datetime | None = None) -> Freshness:
        """How fresh evidence over these views is: as fresh as the oldest; as known at an instant, no later than it."""
        views = list(record_types)
        times = [self.caught_up.get(view.id) for view in views]
        known = [time for time in times if time is not None]
        heard = [self.heard.get(view.id, _UNHEARD) for view in views]
        as_of = lag_s = None
        if len(known) == len(times):
            as_of = min(known) if known_at is None else min(*known, known_at)
            lag_s = 0.0 if known_at is not None else round(max((self.now - as_of).total_seconds(), 0.0), 3)
        return Freshness(
            as_of=as_of,
            lag_s=lag_s,
            source_state=max((self._state(view) for view in views), key=_STATES.index),
            heard_at=min((one.at for one in heard if one.at is not None), default=None),
            missing_events=sum(one.missing for one in heard),
            complete_until=_earliest([one.complete_until for one in heard], known_at),
        )

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
            elif self._has_silent_source(record_type):
                return Staleness.SOURCE_SILENT
        return None

    def _state(self, record_type: RecordType) -> SourceState:
        heard = self.heard.get(record_type.id, _UNHEARD)
        if heard.missing:
            return SourceState.INCOMPLETE
        if heard.at is None:
            return SourceState.UNKNOWN
        is_heard = self.now - heard.at <= HEARTBEATS_MISSED * record_type.heartbeat
        return SourceState.LIVE if is_heard and not self._has_silent_source(record_type) else SourceState.SILENT

    def _has_silent_source(self, record_type: RecordType) -> bool:
        """Whether a source that has a heartbeat was not heard for several of them."""
        at = self.heard.get(record_type.id, _UNHEARD).quietest_at
        return at is not None and self.now - at > HEARTBEATS_MISSED * record_type.heartbeat


class ClockReader:
    """Reads clocks, and remembers for a while what was missing: only what stays away counts."""

    def __init__(self) -> None:
        self.query = statement("evidence_clock.sql").as_string(None).encode()
        self._gaps: dict[RecordTypeId, deque[tuple[datetime, int]]] = {}

    def clock(self, rows: Sequence[Row], now: datetime) -> Clock:
        """The clock that the query's rows say; a view with a partition that was never caught up has no time."""
        caught_up, heard = {}, {}
        for name, at, was_caught_up, missing, heard_at, complete_until, quietest_at in rows:
            assert name is not None
            view = RecordTypeId(name.decode())
            if at is not None and was_caught_up == b"t":
                caught_up[view] = _instant(at)
            lasting = self._lasting(view, int(missing or 0), now)
            heard[view] = Heard(
                missing=lasting,
                at=_instant_or_none(heard_at),
                complete_until=_instant_or_none(complete_until),
                quietest_at=_instant_or_none(quietest_at),
            )
        return Clock(caught_up=caught_up, heard=heard, now=now)

    def _lasting(self, view: RecordTypeId, missing: int, now: datetime) -> int:
        """The least that was missing over the window: what is under way comes, and others are under way."""
        seen = self._gaps.setdefault(view, deque())
        seen.append((now, missing))
        while (now - seen[0][0]).total_seconds() > GAP_WINDOW_S:
            seen.popleft()
        return min(count for _, count in seen)


def _earliest(times: Sequence[datetime | None], known_at: datetime | None) -> datetime | None:
    """The earliest of all times, and of an instant up to which alone was asked; None when one of them is not known."""
    known = [time for time in times if time is not None]
    if len(known) < len(times):
        return None
    return min(known) if known_at is None else min(*known, known_at)


def _instant_or_none(microseconds: bytes | None) -> datetime | None:
    return None if microseconds is None else _instant(microseconds)


def _instant(microseconds: bytes) -> datetime:
    return _EPOCH + timedelta(microseconds=int(microseconds))
