"""The population: what is true of everybody, and what the registers say of it, each record type in its own journal."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from importlib.resources import files
from random import Random
from typing import Any
from uuid import UUID

import yaml

from bus.envelope import ChangeKind
from bus.reasons import Reason
from deploy.demo.hero import Hero, load_hero
from deploy.demo.journal import Blemishes, Entry, Journalist, Mistake, new_id
from deploy.demo.nation import Nation, found_nation
from deploy.demo.registers import civil, means, work
from deploy.demo.truth import Spell
from deploy.demo.vocabulary import load_vocabulary

SPOILT_SHARE = 0.002  # how many of a journal's lines have a double that no desk may take
DOUBTFUL_SHARE = 0.01

REGISTERS: Mapping[str, Callable[[Nation, Random], Iterator[Spell]]] = {
    civil.IDENTITY: civil.identities,
    civil.LIFE_STATUS: civil.life_statuses,
    civil.MARRIAGE: civil.marriages,
    means.TAX_STATUS: means.tax_statuses,
    work.INSURANCE_COVERAGE: work.insurance_coverages,
    means.HOUSEHOLD_DECILE: means.household_deciles,
    means.BENEFIT: means.benefits,
    work.EMPLOYMENT: work.employments,
    work.UNEMPLOYMENT_BENEFIT: work.unemployment_benefits,
    work.MEMBERSHIP: work.memberships,
    work.SKILLS_CERTIFICATE: work.skills_certificates,
    means.TITLE_DEED: means.title_deeds,
    means.REGISTERED_ADDRESS: means.registered_addresses,
}


_Said = Mapping[str, Any]  # what a file says of a record type


@dataclass(frozen=True, slots=True, kw_only=True)
class Register:
    """One record type: what is true, and its journal with lines that must be refused, for the reasons beside them.

    `doubtful` are the events whose field of the name beside them must be marked.
    """

    spells: tuple[Spell, ...]
    journal: tuple[Entry, ...]
    spoilt: tuple[tuple[Entry, Reason], ...]
    doubtful: Mapping[UUID, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Population:
    """All registers of the nation, and the citizen whose way is told."""

    nation: Nation
    hero: Hero
    registers: Mapping[str, Register]

    @property
    def truth(self) -> Iterator[Spell]:
        """What is true, of all record types."""
        return (spell for register in self.registers.values() for spell in register.spells)


def populate(*, persons: int, seed: int, now: datetime) -> Population:
    """The same population for the same arguments; the hero is one of the persons."""
    today = now.date()
    hero = load_hero(today)
    nation = found_nation(load_vocabulary(), persons=persons - 1, seed=seed, today=today)
    registers = {}
    for record_type, register in REGISTERS.items():
        said = _mistakes()[record_type]
        chance = Random(f"{seed}/{record_type}")
        others = _with_doubts(register(nation, chance), said.get("doubtful"), chance)
        spells = (*others, *(spell for spell in hero.spells if spell.record_type == record_type))
        registers[record_type] = _kept(spells, said, hero, Random(f"{seed}/{record_type}/journal"), now)
    return Population(nation=nation, hero=hero, registers=registers)


def _with_doubts(spells: Iterable[Spell], doubtful: _Said | None, chance: Random) -> Iterator[Spell]:
    """The spells, of which some say what is doubtful but allowed."""
    for spell in spells:
        if doubtful and _says(spell.body, doubtful["of"]) and chance.random() < DOUBTFUL_SHARE:
            yield replace(spell, body={**spell.body, **doubtful["say"]})
        else:
            yield spell


def _kept(spells: tuple[Spell, ...], said: _Said, hero: Hero, chance: Random, now: datetime) -> Register:
    mistake = Mistake(mistyped_field=said["mistyped"], never_was=said["never_was"], day_field=said.get("day_field"))
    journal = Journalist(mistake, Blemishes(), chance, now).entries(spells)
    others = [entry for entry in journal if entry.body is not None and entry.national_id != hero.national_id]
    count = min(len(others), max(len(_WAYS_TO_SPOIL), int(len(journal) * SPOILT_SHARE)))
    spoilt = (
        _spoilt(entry, said["refused"], number, chance) for number, entry in enumerate(chance.sample(others, count))
    )
    return Register(
        spells=spells, journal=tuple(journal), spoilt=tuple(spoilt), doubtful=_doubtful(journal, said.get("doubtful"))
    )


def _doubtful(journal: Iterable[Entry], doubtful: _Said | None) -> dict[UUID, str]:
    if doubtful is None:
        return {}
    wanted = {**doubtful["of"], **doubtful["say"]}
    return {entry.event_id: doubtful["field"] for entry in journal if entry.body and _says(entry.body, wanted)}


def _says(body: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    return all(body[name] == value for name, value in wanted.items())


def _spoilt(entry: Entry, refused: _Said, number: int, chance: Random) -> tuple[Entry, Reason]:
    """A double of an entry that is wrong in one of the ways to be so."""
    double = replace(
        entry,
        event_id=new_id(entry.recorded_at, chance),
        change_kind=ChangeKind.CREATED,
        previous_event_id=None,
    )
    return _WAYS_TO_SPOIL[number % len(_WAYS_TO_SPOIL)](double, refused, chance)


def _with_impossible_value(double: Entry, refused: _Said, _: Random) -> tuple[Entry, Reason]:
    return replace(double, body={**(double.body or {}), **refused}), Reason.QUALITY_RULE


def _with_wrong_check_digit(double: Entry, _: _Said, chance: Random) -> tuple[Entry, Reason]:
    wrong = str((int(double.national_id[-1]) + chance.randrange(1, 10)) % 10)
    return replace(double, national_id=double.national_id[:-1] + wrong), Reason.INVALID_NATIONAL_ID


def _with_a_digit_lost(double: Entry, _: _Said, __: Random) -> tuple[Entry, Reason]:
    return replace(double, national_id=double.national_id[1:]), Reason.INVALID_NATIONAL_ID


_WAYS_TO_SPOIL = (_with_impossible_value, _with_wrong_check_digit, _with_a_digit_lost)


@cache
def _mistakes() -> dict[str, Any]:
    said: dict[str, Any] = yaml.safe_load(
        files("deploy.demo").joinpath("data", "mistakes.yaml").read_text(encoding="utf-8")
    )
    return said
