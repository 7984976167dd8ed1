"""Persons of the small nation, in the households that they live in."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from random import Random

from bus.national_id import iran_check_digit
from deploy.demo.vocabulary import Name, Place, Vocabulary

ADULT_YEARS = 18
DAYS_A_YEAR = 365.25
MADE_UP_OFFICE = "9"  # the first digit of every id here


class Sex(StrEnum):
    """As the civil registry writes it on the bus."""

    FEMALE = "female"
    MALE = "male"


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """One human; `deceased_on` is the truth, whatever a register says."""

    national_id: str
    sex: Sex
    given_name: Name
    family_name: Name
    father_name: str
    birth_date: date
    birth_place: Place
    deceased_on: date | None = None

    def years_on(self, day: date) -> int:
        """The age in whole years."""
        return int((day - self.birth_date).days // DAYS_A_YEAR)

    def is_alive_on(self, day: date) -> bool:
        """Whether the person lives on a day, and is born."""
        return self.birth_date <= day and (self.deceased_on is None or day < self.deceased_on)


@dataclass(frozen=True, slots=True, kw_only=True)
class Couple:
    """Two persons who married; `divorced_on` is None while they did not part."""

    wife: Person
    husband: Person
    married_on: date
    divorced_on: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Household:
    """Persons who live together at one place; `decile` is the one of their means, 1 the poorest."""

    place: Place
    decile: int
    members: tuple[Person, ...]
    couple: Couple | None = None


class Settler:
    """Makes households; the same chance makes the same ones."""

    def __init__(self, vocabulary: Vocabulary, chance: Random, today: date) -> None:
        self._words = vocabulary
        self._chance = chance
        self._today = today
        self._taken: set[str] = set()

    def households(self, persons: int) -> Iterator[Household]:
        """Households with this many persons in all."""
        left = persons
        while left > 0:
            household = self._household(left)
            left -= len(household.members)
            yield household

    def national_id(self, place: Place) -> str:
        """A valid id that nobody has yet."""
        while True:
            nine = f"{MADE_UP_OFFICE}{place.province_code}{self._chance.randrange(10**6):06}"
            if nine not in self._taken:
                self._taken.add(nine)
                return nine + str(iran_check_digit(nine))

    def _household(self, persons_max: int) -> Household:
        place, decile = self._words.place(self._chance), self._chance.randrange(1, 11)
        if persons_max == 1 or self._chance.random() < 0.25:
            sex = self._chance.choice(list(Sex))
            return Household(place=place, decile=decile, members=(self._adult(sex, place, self._age(20, 85)),))
        years = self._age(22, 80)
        husband = self._adult(Sex.MALE, place, years)
        wife = self._adult(Sex.FEMALE, place, max(ADULT_YEARS + 1, years - self._chance.randrange(-2, 9)))
        couple = self._couple(wife, husband)
        room = min(persons_max - 2, self._chance.choice((0, 1, 1, 2, 2, 3)))
        children = [child for _ in range(room) if (child := self._child(couple, place)) is not None]
        return Household(place=place, decile=decile, members=(husband, wife, *children), couple=couple)

    def _age(self, youngest: int, oldest: int) -> int:
        """Younger ages are more common."""
        return int(self._chance.triangular(youngest, oldest, youngest + (oldest - youngest) / 4))

    def _adult(self, sex: Sex, home: Place, years: int) -> Person:
        chance, words = self._chance, self._words
        birth_place = home if chance.random() < 0.7 else words.place(chance)
        born = self._today - timedelta(days=int(years * DAYS_A_YEAR) + chance.randrange(1, 365))
        return Person(
            national_id=self.national_id(birth_place),
            sex=sex,
            given_name=chance.choice(words.female_names if sex is Sex.FEMALE else words.male_names),
            family_name=chance.choice(words.family_names),
            father_name=chance.choice(words.male_names).persian,
            birth_date=born,
            birth_place=birth_place,
            deceased_on=self._deceased_on(years),
        )

    def _deceased_on(self, years: int) -> date | None:
        if self._chance.random() > 0.004 + 0.006 * max(0, years - 55):
            return None
        grown_up = min(5, max(0, years - ADULT_YEARS - 2))  # nobody who marries here died as a child
        return self._today - timedelta(days=self._chance.randrange(3, 30 + 365 * grown_up))

    def _couple(self, wife: Person, husband: Person) -> Couple:
        youngest = max(wife.birth_date, husband.birth_date)
        earliest = youngest + timedelta(days=int(ADULT_YEARS * DAYS_A_YEAR))
        last = min(day for day in (wife.deceased_on, husband.deceased_on, self._today) if day) - timedelta(days=1)
        married = min(earliest + timedelta(days=self._chance.randrange(1, 12 * 365)), last)
        divorced = None
        if self._chance.random() < 0.08 and (last - married).days > 400:
            divorced = married + timedelta(days=self._chance.randrange(200, (last - married).days))
        return Couple(wife=wife, husband=husband, married_on=married, divorced_on=divorced)

    def _child(self, couple: Couple, home: Place) -> Person | None:
        """A child of the couple, born while the mother lives; None where none can be."""
        last = min(couple.wife.deceased_on or self._today, self._today) - timedelta(days=1)
        days = (last - couple.married_on).days
        if days < 300:
            return None
        sex = self._chance.choice(list(Sex))
        words = self._words
        return Person(
            national_id=self.national_id(home),
            sex=sex,
            given_name=self._chance.choice(words.female_names if sex is Sex.FEMALE else words.male_names),
            family_name=couple.husband.family_name,
            father_name=couple.husband.given_name.persian,
            birth_date=couple.married_on + timedelta(days=self._chance.randrange(280, min(days, 15 * 365) + 1)),
            birth_place=home,
        )
