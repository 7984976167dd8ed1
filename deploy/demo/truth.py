"""What is true in the nation: what holds when. Registers tell it late, twice or wrong at times."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from random import Random
from typing import Any

DIGITIZED = date(2011, 3, 21)  # no register of the nation has entries from before its computers
REGISTRATION_DAYS_MAX = 20
OFFICE_OPENS = 8
OFFICE_HOURS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Spell:
    """One true fact: it holds from a day until before another, or until the next spell of its record."""

    record_type: str
    national_id: str
    record_key: str = ""
    effective_from: date
    effective_to: date | None = None
    body: Mapping[str, Any]

    def holds_on(self, day: date) -> bool:
        """Whether a day lies in the spell, whatever follows it."""
        return self.effective_from <= day and (self.effective_to is None or day < self.effective_to)


def midnight(day: date) -> datetime:
    """The instant at which a fact of a day begins to hold."""
    return datetime.combine(day, time(), UTC)


def registration(day: date, chance: Random, now: datetime) -> datetime:
    """When an office registers what happened on a day: some days later, in its hours, and not after now.

    A day to come is registered before it comes.
    """
    registered = max(day, DIGITIZED) + timedelta(days=chance.randrange(REGISTRATION_DAYS_MAX))
    seconds = OFFICE_OPENS * 3600 + chance.randrange(OFFICE_HOURS * 3600)
    instant = midnight(registered) + timedelta(seconds=seconds, microseconds=chance.randrange(10**6))
    return instant if instant < now else now - timedelta(seconds=1 + chance.randrange(86_400))


def holding(spells: Iterable[Spell], day: date) -> dict[tuple[str, str, str], Spell]:
    """What is true on a day: of each record (type, person, key) the latest spell that has begun and has not ended."""
    latest: dict[tuple[str, str, str], Spell] = {}
    for spell in spells:
        record = (spell.record_type, spell.national_id, spell.record_key)
        if spell.effective_from <= day and (
            record not in latest or latest[record].effective_from < spell.effective_from
        ):
            latest[record] = spell
    return {record: spell for record, spell in latest.items() if spell.holds_on(day)}
