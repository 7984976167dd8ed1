"""Journals: how registers tell the truth, as real ones do: at times wrongly first, twice, late, or of what never was.

Whatever the journal says on its way, all of it together amounts to the truth that it was made from.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID

from bus.envelope import ChangeKind
from deploy.demo.truth import Spell, registration

LATE_DAYS = range(100, 900)
NOTICED_DAYS = range(1, 60)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line of a register's journal: a change that the register tells the bus."""

    event_id: UUID
    record_type: str
    national_id: str
    record_key: str
    change_kind: ChangeKind
    previous_event_id: UUID | None = None
    effective_from: date
    effective_to: date | None = None
    recorded_at: datetime
    body: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Blemishes:
    """How often a register errs, as shares of what it tells."""

    mistyped: float = 0.02
    correction_undone: float = 0.002
    never_was: float = 0.004
    late: float = 0.02
    sent_twice: float = 0.01
    end_told_later: float = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Mistake:
    """How the clerks of a record type err: the field that they mistype, and what they enter that never was.

    `day_field` is the body field that says the day of what never was.
    """

    mistyped_field: str
    never_was: Mapping[str, Any]
    day_field: str | None = None


class Journalist:
    """Tells the spells of one record type as its register would; the same chance tells the same."""

    def __init__(self, mistake: Mistake, blemishes: Blemishes, chance: Random, now: datetime) -> None:
        self._mistake = mistake
        self._rates = blemishes
        self._chance = chance
        self._now = now

    def entries(self, spells: Iterable[Spell]) -> list[Entry]:
        """The journal, in the order in which the register wrote it."""
        told = [entry for spell in spells for entry in self._told(spell)]
        told.sort(key=lambda entry: entry.recorded_at)
        twice = [entry for entry in told if self._chance.random() < self._rates.sent_twice]
        return told + twice

    def entry(self, spell: Spell, recorded_at: datetime, **changed: Any) -> Entry:
        """A plain entry of a spell."""
        said = {"change_kind": ChangeKind.CREATED, "effective_to": spell.effective_to, "body": spell.body, **changed}
        return Entry(
            event_id=new_id(recorded_at, self._chance),
            record_type=spell.record_type,
            national_id=spell.national_id,
            record_key=spell.record_key,
            effective_from=said.pop("effective_from", spell.effective_from),
            recorded_at=recorded_at,
            **said,
        )

    def _told(self, spell: Spell) -> Iterator[Entry]:
        chance, rates = self._chance, self._rates
        recorded = registration(spell.effective_from, chance, self._now)
        if chance.random() < rates.late:
            recorded = self._later(recorded, LATE_DAYS)
        if spell.body[self._mistake.mistyped_field] is not None and chance.random() < rates.mistyped:
            yield from self._mistyped(spell, recorded)
        elif self._has_ended(spell) and chance.random() < rates.end_told_later:
            yield self.entry(spell, recorded, effective_to=None)
            assert spell.effective_to is not None
            ended = max(self._later(recorded, NOTICED_DAYS), registration(spell.effective_to, chance, self._now))
            yield self.entry(
                spell,
                ended,
                change_kind=ChangeKind.CEASED,
                effective_from=spell.effective_to,
                effective_to=None,
                body=None,
            )
        else:
            first = self.entry(spell, recorded)
            yield first
            can_slip = spell.body[self._mistake.mistyped_field] is not None
            if can_slip and chance.random() < rates.correction_undone:
                yield from self._correction_undone(spell, first)
        if chance.random() < rates.never_was:
            yield from self._never_was(spell, recorded)

    def _has_ended(self, spell: Spell) -> bool:
        return spell.effective_to is not None and spell.effective_to < self._now.date()

    def _mistyped(self, spell: Spell, recorded: datetime) -> Iterator[Entry]:
        wrong = self.entry(spell, recorded, body=self._with_slip(spell.body))
        yield wrong
        yield self.entry(
            spell,
            self._later(recorded, NOTICED_DAYS),
            change_kind=ChangeKind.CORRECTED,
            previous_event_id=wrong.event_id,
        )

    def _correction_undone(self, spell: Spell, right: Entry) -> Iterator[Entry]:
        """A right entry is corrected wrongly, and the correction annulled."""
        wrong = replace(
            self.entry(spell, self._later(right.recorded_at, NOTICED_DAYS), body=self._with_slip(spell.body)),
            change_kind=ChangeKind.CORRECTED,
            previous_event_id=right.event_id,
        )
        yield wrong
        yield self._annulment(wrong)

    def _never_was(self, spell: Spell, recorded: datetime) -> Iterator[Entry]:
        """Something is entered for the wrong person, and annulled when that is noticed."""
        entered = self._later(recorded, NOTICED_DAYS)
        day = entered.date() - timedelta(days=1)
        said = {self._mistake.day_field: day} if self._mistake.day_field else {}
        ghost = self.entry(
            spell,
            entered,
            effective_from=day,
            effective_to=None,
            body={**spell.body, **self._mistake.never_was, **said},
        )
        yield ghost
        yield self._annulment(ghost)

    def _annulment(self, entry: Entry) -> Entry:
        recorded = self._later(entry.recorded_at, NOTICED_DAYS)
        return replace(
            entry,
            event_id=new_id(recorded, self._chance),
            change_kind=ChangeKind.ANNULLED,
            previous_event_id=entry.event_id,
            effective_to=None,
            recorded_at=recorded,
            body=None,
        )

    def _later(self, instant: datetime, days: range) -> datetime:
        """Some days later; where that is still to come, between then and now."""
        later = instant + timedelta(days=self._chance.choice(days), seconds=self._chance.randrange(3600))
        return later if later < self._now else instant + (self._now - instant) * (0.2 + 0.6 * self._chance.random())

    def _with_slip(self, body: Mapping[str, Any]) -> dict[str, Any]:
        return {**body, self._mistake.mistyped_field: slip(body[self._mistake.mistyped_field], self._chance)}


def slip(value: Any, chance: Random) -> Any:
    """What a clerk types in place of a value: two letters swapped, a number one off, a day too early."""
    match value:
        case str():
            places = [at for at in range(len(value) - 1) if value[at] != value[at + 1]]
            if not places:
                return value + value[-1]
            at = chance.choice(places)
            return value[:at] + value[at + 1] + value[at] + value[at + 2 :]
        case int():
            return value - 1 if value > 1 else value + 1
        case float():
            return value / 2
        case date():
            return value - timedelta(days=1)
    raise AssertionError(f"nobody mistypes a {type(value).__name__}")


def new_id(recorded_at: datetime, chance: Random) -> UUID:
    """An event id: a uuid v7 (RFC 9562) of the time of registration."""
    ms = int(recorded_at.timestamp() * 1000)
    return UUID(int=ms << 80 | 0x7 << 76 | chance.getrandbits(12) << 64 | 0b10 << 62 | chance.getrandbits(62))
