"""The nation as it is: households, and the jobs that their members have and had."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from random import Random

from deploy.demo.people import ADULT_YEARS, DAYS_A_YEAR, Couple, Household, Person, Settler
from deploy.demo.vocabulary import Place, Vocabulary

PENSION_YEARS = 60
MONTH_DAYS = 30
INVOLUNTARY = ("dismissal", "redundancy", "employer_closure", "contract_expiry")
VOLUNTARY = ("resignation", "other")


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One employment; `ended_on` is None while it lasts, and may not begin before a day to come."""

    number: str
    person: Person
    employer: str
    occupation_code: str
    contract_kind: str
    started_on: date
    ended_on: date | None
    end_reason: str | None
    monthly_rials: int

    def months_until(self, day: date) -> int:
        """For how many whole months premiums were paid."""
        last = min(self.ended_on or day, day)
        return max(0, (last - self.started_on).days // MONTH_DAYS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Nation:
    """Everybody, with the day that counts as today."""

    vocabulary: Vocabulary
    today: date
    households: tuple[Household, ...]
    jobs: tuple[Job, ...]

    @property
    def persons(self) -> Iterator[Person]:
        """All persons, household by household."""
        return (person for household in self.households for person in household.members)

    @property
    def couples(self) -> Iterator[Couple]:
        """All couples, parted ones too."""
        return (household.couple for household in self.households if household.couple)

    @property
    def homes(self) -> Iterator[tuple[Person, Place]]:
        """Each person with the place of the household."""
        return ((person, household.place) for household in self.households for person in household.members)

    def adults(self) -> Iterator[Person]:
        """Those who live today and are of age."""
        for person in self.persons:
            if person.is_alive_on(self.today) and person.years_on(self.today) >= ADULT_YEARS:
                yield person


def found_nation(vocabulary: Vocabulary, *, persons: int, seed: int, today: date) -> Nation:
    """A nation of this many persons; the same for the same arguments."""
    households = tuple(Settler(vocabulary, Random(f"{seed}/people"), today).households(persons))
    work = _Work(vocabulary, Random(f"{seed}/jobs"), today)
    members = (person for household in households for person in household.members)
    jobs = tuple(job for person in members for job in work.career(person))
    return Nation(vocabulary=vocabulary, today=today, households=households, jobs=jobs)


class _Work:
    """Gives persons their careers: jobs one after another, the last of which may last or begin soon."""

    def __init__(self, vocabulary: Vocabulary, chance: Random, today: date) -> None:
        self._words = vocabulary
        self._chance = chance
        self._today = today
        self._count = 0

    def career(self, person: Person) -> Iterator[Job]:
        chance = self._chance
        until = min(day for day in (person.deceased_on, self._pension(person), self._today) if day)
        start = person.birth_date + timedelta(days=int((ADULT_YEARS + chance.random() * 8) * DAYS_A_YEAR))
        start = max(start, until - timedelta(days=12 * 365))  # older jobs left no entry in a computer
        if chance.random() < 0.3 or start >= until:
            return
        while start < until:
            length = timedelta(days=chance.randrange(200, 3000))
            ended = start + length if start + length < until else None
            yield self._job(person, start, ended if ended else self._last_day(until))
            if ended is None:
                return
            start = ended + timedelta(days=chance.randrange(10, 400))
        if until == self._today and chance.random() < 0.1:
            yield self._job(person, until + timedelta(days=chance.randrange(1, 45)), None)

    def _pension(self, person: Person) -> date:
        return person.birth_date + timedelta(days=int(PENSION_YEARS * DAYS_A_YEAR))

    def _last_day(self, until: date) -> date | None:
        """Jobs that life or age end, end then; others last."""
        return until if until < self._today else None

    def _job(self, person: Person, started: date, ended: date | None) -> Job:
        chance = self._chance
        self._count += 1
        reason = None
        if ended is not None:
            reason = chance.choice(INVOLUNTARY if chance.random() < 0.5 else VOLUNTARY)
            if person.deceased_on == ended:
                reason = "other"
            elif ended == self._pension(person):
                reason = "retirement"
        return Job(
            number=f"E-{self._count:07}",
            person=person,
            employer=chance.choice(self._words.employers),
            occupation_code=chance.choice(self._words.occupation_codes),
            contract_kind=chance.choices(("permanent", "fixed_term", "seasonal"), (30, 60, 10))[0],
            started_on=started,
            ended_on=ended,
            end_reason=reason,
            monthly_rials=chance.randrange(90, 400) * 1_000_000,
        )
