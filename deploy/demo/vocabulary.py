"""What the persons of the demonstration are made of: names, places, employers; read from `data/vocabulary.yaml`."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from random import Random
from typing import Any

import yaml


@dataclass(frozen=True, slots=True)
class Name:
    """A name in both scripts."""

    persian: str
    latin: str


@dataclass(frozen=True, slots=True)
class Place:
    """A city, the only one of its province; its postal codes begin with `postal`."""

    province_code: str
    province: str
    city: str
    weight: int
    postal: str


@dataclass(frozen=True, slots=True)
class Skill:
    """A trade that certificates are given for."""

    code: str
    title: str


@dataclass(frozen=True, slots=True)
class BenefitKind:
    """A benefit for the deciles from `decile_from` to `decile_to`."""

    code: str
    decile_from: int
    decile_to: int
    monthly_rials: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Vocabulary:
    """All of it."""

    female_names: tuple[Name, ...]
    male_names: tuple[Name, ...]
    family_names: tuple[Name, ...]
    places: tuple[Place, ...]
    streets: tuple[str, ...]
    employers: tuple[str, ...]
    occupation_codes: tuple[str, ...]
    skills: tuple[Skill, ...]
    cooperatives: tuple[str, ...]
    benefits: tuple[BenefitKind, ...]

    def place(self, chance: Random) -> Place:
        """A place, the large ones more often."""
        return chance.choices(self.places, [place.weight for place in self.places])[0]

    def place_of(self, city: str) -> Place:
        """The place of a city that the vocabulary has."""
        return next(place for place in self.places if place.city == city)


def load_vocabulary() -> Vocabulary:
    """The vocabulary that ships with the demonstration."""
    said: dict[str, Any] = yaml.safe_load(
        files("deploy.demo").joinpath("data", "vocabulary.yaml").read_text(encoding="utf-8")
    )

    def values(kind: type[Any], rows: Sequence[Sequence[Any]]) -> tuple[Any, ...]:
        return tuple(kind(*row) for row in rows)

    return Vocabulary(
        female_names=values(Name, said["female_names"]),
        male_names=values(Name, said["male_names"]),
        family_names=values(Name, said["family_names"]),
        places=values(Place, said["places"]),
        streets=tuple(said["streets"]),
        employers=tuple(said["employers"]),
        occupation_codes=tuple(said["occupation_codes"]),
        skills=values(Skill, said["skills"]),
        cooperatives=tuple(said["cooperatives"]),
        benefits=values(BenefitKind, said["benefits"]),
    )
