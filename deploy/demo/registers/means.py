"""The truth of means: taxes, deciles, benefits, title deeds, addresses."""

from collections.abc import Iterator
from datetime import date, timedelta
from random import Random

from deploy.demo.nation import MONTH_DAYS, Nation
from deploy.demo.people import Household
from deploy.demo.truth import Spell
from deploy.demo.vocabulary import Place

TAX_STATUS = "tax-administration.tax-status"
HOUSEHOLD_DECILE = "welfare.household-decile"
BENEFIT = "welfare.benefit"
TITLE_DEED = "property-registry.title-deed"
REGISTERED_ADDRESS = "post.registered-address"

SOLAR_HIJRI_OFFSET = 621  # a year that begins in March of 2024 is 1403
POSTAL_DIGITS = "13456789"


def tax_statuses(nation: Nation, chance: Random) -> Iterator[Spell]:
    """Adults are assessed in summer, in each of the last years."""
    for person in nation.adults():
        if chance.random() > 0.85:
            continue
        for years_ago in range(chance.choice((1, 2, 3)), 0, -1):
            assessed = nation.today - timedelta(days=years_ago * 365 - chance.randrange(1, 300))
            standing = chance.choices(("cleared", "in_debt", "not_registered"), (85, 12, 3))[0]
            yield Spell(
                record_type=TAX_STATUS,
                national_id=person.national_id,
                effective_from=assessed,
                body={
                    "standing": standing,
                    "debt_rials": chance.randrange(5, 900) * 1_000_000 if standing == "in_debt" else 0,
                    "tax_year": assessed.year - SOLAR_HIJRI_OFFSET - 1,
                    "assessed_on": assessed,
                },
            )


def household_deciles(nation: Nation, chance: Random) -> Iterator[Spell]:
    """A household has one decile for all, assessed anew now and then; some know the one that comes."""
    for household in nation.households:
        decile = household.decile
        for assessed, effective in _assessments(nation.today, chance):
            decile = min(10, max(1, decile + chance.choice((-1, 0, 0, 0, 1))))
            for person in household.members:
                if person.is_alive_on(effective):
                    yield Spell(
                        record_type=HOUSEHOLD_DECILE,
                        national_id=person.national_id,
                        effective_from=effective,
                        body={"decile": decile, "household_size": len(household.members), "assessed_on": assessed},
                    )


def _assessments(today: date, chance: Random) -> Iterator[tuple[date, date]]:
    first = today - timedelta(days=chance.randrange(400, 900))
    yield first, first + timedelta(days=10)
    second = today - timedelta(days=chance.randrange(20, 300))
    yield second, second + timedelta(days=10)
    if chance.random() < 0.03:
        yield today - timedelta(days=5), today + timedelta(days=chance.randrange(3, MONTH_DAYS))


def benefits(nation: Nation, chance: Random) -> Iterator[Spell]:
    """Households get what their means allow, paid to one adult; some grants have run out."""
    for household in nation.households:
        head = _head(household, nation.today)
        if head is None:
            continue
        for kind in nation.vocabulary.benefits:
            if kind.decile_from <= household.decile <= kind.decile_to:
                granted = nation.today - timedelta(days=chance.randrange(40, 1500))
                ended = granted + timedelta(days=chance.randrange(30, 800)) if chance.random() < 0.1 else None
                yield Spell(
                    record_type=BENEFIT,
                    national_id=head,
                    record_key=kind.code,
                    effective_from=granted,
                    effective_to=ended,
                    body={
                        "benefit_code": kind.code,
                        "monthly_amount_rials": kind.monthly_rials * len(household.members),
                        "granted_on": granted,
                    },
                )


def _head(household: Household, today: date) -> str | None:
    return next((person.national_id for person in household.members if person.is_alive_on(today)), None)


def title_deeds(nation: Nation, chance: Random) -> Iterator[Spell]:
    """A third of the adults own something; half of them share it."""
    count = 0
    for person, place in nation.homes:
        if not person.is_alive_on(nation.today) or person.years_on(nation.today) < 25 or chance.random() > 0.35:
            continue
        count += 1
        number = f"{place.province_code}/{count:06}"
        bought = nation.today - timedelta(days=chance.randrange(10, 4000))
        yield Spell(
            record_type=TITLE_DEED,
            national_id=person.national_id,
            record_key=number,
            effective_from=bought,
            body={
                "deed_number": number,
                "use": chance.choices(("residential", "commercial", "agricultural"), (75, 10, 15))[0],
                "share_percent": chance.choice((100.0, 100.0, 50.0, 50.0, 25.0, 12.5)),
                "area_m2": chance.randrange(45, 400),
                "province_code": place.province_code,
            },
        )


def registered_addresses(nation: Nation, chance: Random) -> Iterator[Spell]:
    """A household lives at one address; a quarter has moved."""
    for household in nation.households:
        moved = nation.today - timedelta(days=chance.randrange(5, 3000))
        addresses = [(moved - timedelta(days=chance.randrange(300, 3000)), nation.vocabulary.place(chance))]
        if chance.random() < 0.25:
            addresses.append((moved, household.place))
        else:
            addresses = [(addresses[0][0], household.place)]
        for (since, place), until in zip(addresses, [*(day for day, _ in addresses[1:]), nation.today], strict=True):
            postal_code, street = _address(nation, place, chance)
            for person in household.members:
                if person.birth_date < until and person.is_alive_on(max(since, person.birth_date)):
                    yield Spell(
                        record_type=REGISTERED_ADDRESS,
                        national_id=person.national_id,
                        effective_from=max(since, person.birth_date),
                        body={
                            "postal_code": postal_code,
                            "province": place.province,
                            "city": place.city,
                            "street": street,
                        },
                    )


def _address(nation: Nation, place: Place, chance: Random) -> tuple[str, str]:
    return place.postal + "".join(chance.choices(POSTAL_DIGITS, k=8)), chance.choice(nation.vocabulary.streets)
