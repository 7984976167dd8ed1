"""The truth of the civil registry: who there is, who lives, who is married."""

from collections.abc import Iterator
from random import Random

from deploy.demo.nation import Nation
from deploy.demo.people import Couple, Person
from deploy.demo.truth import Spell

IDENTITY = "civil-registry.identity"
LIFE_STATUS = "civil-registry.life-status"
MARRIAGE = "civil-registry.marriage"


def identities(nation: Nation, _: Random) -> Iterator[Spell]:
    """Everybody has one identity, from birth."""
    for person in nation.persons:
        yield Spell(
            record_type=IDENTITY,
            national_id=person.national_id,
            effective_from=person.birth_date,
            body={
                "given_name": person.given_name.persian,
                "family_name": person.family_name.persian,
                "given_name_latin": person.given_name.latin,
                "family_name_latin": person.family_name.latin,
                "father_name": person.father_name,
                "birth_date": person.birth_date,
                "sex": person.sex.value,
                "birth_place_code": f"{person.birth_place.province_code}01",
            },
        )


def life_statuses(nation: Nation, chance: Random) -> Iterator[Spell]:
    """Everybody lives from birth, and some until a death."""
    for person in nation.persons:
        yield Spell(
            record_type=LIFE_STATUS,
            national_id=person.national_id,
            effective_from=person.birth_date,
            body={"status": "alive", "death_date": None, "certificate_number": None},
        )
        if person.deceased_on is not None:
            yield Spell(
                record_type=LIFE_STATUS,
                national_id=person.national_id,
                effective_from=person.deceased_on,
                body={
                    "status": "deceased",
                    "death_date": person.deceased_on,
                    "certificate_number": f"D-{chance.randrange(10**7):07}",
                },
            )


def marriages(nation: Nation, _: Random) -> Iterator[Spell]:
    """Both of a couple have the marriage, until they part or one dies."""
    for number, couple in enumerate(nation.couples, start=1):
        for person, spouse in ((couple.wife, couple.husband), (couple.husband, couple.wife)):
            yield from _marriage(couple, person, spouse, f"M-{number:06}")


def _marriage(couple: Couple, person: Person, spouse: Person, number: str) -> Iterator[Spell]:
    stages = [("married", couple.married_on)]
    if couple.divorced_on is not None:
        stages.append(("divorced", couple.divorced_on))
    elif spouse.deceased_on is not None and (person.deceased_on is None or spouse.deceased_on < person.deceased_on):
        stages.append(("widowed", spouse.deceased_on))
    for status, day in stages:
        yield Spell(
            record_type=MARRIAGE,
            national_id=person.national_id,
            record_key=number,
            effective_from=day,
            body={"marriage_number": number, "status": status, "registered_on": day},
        )
