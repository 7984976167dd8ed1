"""The citizen whose way is told, from `data/hero.yaml`."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from importlib.resources import files
from typing import Any

import yaml

from bus.national_id import iran_check_digit
from deploy.demo.truth import Spell
from deploy.demo.vocabulary import Name


@dataclass(frozen=True, slots=True, kw_only=True)
class Hero:
    """One citizen and all that is true of her."""

    national_id: str
    given_name: Name
    family_name: Name
    spells: tuple[Spell, ...]

    @property
    def full_name(self) -> str:
        """As the civil registry says it."""
        return f"{self.given_name.persian} {self.family_name.persian}"

    @property
    def latin_name(self) -> str:
        """As a passport says it."""
        return f"{self.given_name.latin} {self.family_name.latin}"


def load_hero(today: date) -> Hero:
    """The hero, whose days are counted back from today."""
    said = yaml.safe_load(files("deploy.demo").joinpath("data", "hero.yaml").read_text(encoding="utf-8"))
    person = said["person"]
    national_id = person["first_nine"] + str(iran_check_digit(person["first_nine"]))

    def ago(days: int | None) -> date | None:
        return None if days is None else today - timedelta(days=days)

    def dated(body: Mapping[str, Any]) -> dict[str, Any]:
        return {name: ago(v["days_ago"]) if isinstance(v, dict) else v for name, v in body.items()}

    return Hero(
        national_id=national_id,
        given_name=Name(*person["given_name"]),
        family_name=Name(*person["family_name"]),
        spells=tuple(
            Spell(
                record_type=one["record_type"],
                national_id=national_id,
                record_key=one.get("key", ""),
                effective_from=today - timedelta(days=one["from"]),
                effective_to=ago(one.get("to")),
                body=dated(one["body"]),
            )
            for one in said["spells"]
        ),
    )
