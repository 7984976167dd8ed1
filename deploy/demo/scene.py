"""The scene: all that a step of the story works with."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg

from deploy.demo.commands import Commands
from deploy.demo.live import EvidenceApi, LiveViews
from deploy.demo.offices import Office, Surroundings
from deploy.demo.population import Population
from deploy.demo.service_offices import ServiceOffice, office
from deploy.demo.stage import Stage, Stopwatch
from deploy.demo.systems import System
from deploy.wiring import Wiring

STALE_PATIENCE_S = 10.0  # the views say once a second how far they have read
STALE_PAUSE_S = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the evidence API answered to one request."""

    status: int
    body: Mapping[str, Any]
    seconds: float

    @property
    def is_complete(self) -> bool:
        """Whether every requirement is met."""
        return bool(self.body.get("is_complete"))

    @property
    def is_stale(self) -> bool:
        """Whether a requirement could not be answered because a view had not read far enough."""
        return any(one["status"] == "stale" for one in self.body["requirements"])

    def requirement(self, name: str) -> Mapping[str, Any]:
        """How one requirement stands."""
        found: Mapping[str, Any] = next(one for one in self.body["requirements"] if one["requirement"] == name)
        return found

    @property
    def pieces(self) -> list[Mapping[str, Any]]:
        """Every piece of evidence in the answer."""
        return [piece for one in self.body["requirements"] for piece in one["evidence"]]


@dataclass(kw_only=True)
class Scene:
    """The parts of a running demonstration; `asked_about_hero` are the access records of requests about the hero."""

    stage: Stage
    wiring: Wiring
    commands: Commands
    folder: Path
    population: Population
    systems: tuple[System, ...]
    views: LiveViews
    api: EvidenceApi
    asked_about_hero: list[UUID] = field(default_factory=list)

    @cached_property
    def offices(self) -> Mapping[str, Office]:
        """The office of each record type."""
        around = Surroundings(wiring=self.wiring, commands=self.commands, folder=self.folder / "offices")
        return {table.record_type: office(system, table, around) for system in self.systems for table in system.tables}

    def close(self) -> None:
        """Ends what offices have running."""
        for one in self.offices.values():
            if isinstance(one, ServiceOffice):
                one.stop()

    @property
    def hero(self) -> UUID:
        """The pseudonym that stands for the hero on topics and in views."""
        return self.subjects[self.population.hero.national_id]

    @cached_property
    def subjects(self) -> Mapping[str, UUID]:
        """The pseudonym of every person."""
        ids = [person.national_id for person in self.population.nation.persons]
        subject = self.wiring.pseudonymizer.subject
        return {national_id: subject(national_id) for national_id in (*ids, self.population.hero.national_id)}

    def act(self, name: str, record_type: str, **said: Any) -> Any:
        """Somebody does something in an agency's own database; gives the first value that comes back."""
        statement = files("deploy.demo").joinpath("acts", f"{name}.sql").read_text(encoding="utf-8")
        person = {"national_id": self.population.hero.national_id, "day": self.today, **said}
        with psycopg.connect(self.offices[record_type].url) as connection:
            cursor = connection.execute(statement.encode(), person)
            row = cursor.fetchone() if cursor.description else None
        return None if row is None else row[0]

    def publish_and_wait(self, record_type: str) -> float:
        """What is new at an office is published and gets into the views; the seconds that took."""
        watch = Stopwatch()
        self.offices[record_type].publish_new()
        self.views.wait_until_caught_up()
        return watch.seconds

    def ask(self, agency: str, procedure: str, national_id: str | None = None, **asked: Any) -> Answer:
        """An agency asks about the hero, or about somebody else; what is stale it asks again, as any client would."""
        patience = Stopwatch()
        while True:
            answer = self.ask_once(agency, procedure, national_id, **asked)
            if not answer.is_stale or patience.seconds > STALE_PATIENCE_S:
                return answer
            time.sleep(STALE_PAUSE_S)

    def ask_once(self, agency: str, procedure: str, national_id: str | None = None, **asked: Any) -> Answer:
        """An agency asks, and takes the answer as it is."""
        person = national_id or self.population.hero.national_id
        said = {"procedure": procedure, "national_id": person, "case_reference": "1405/128/7", **asked}
        watch = Stopwatch()
        status, body = self.api.ask(agency, said)
        answer = Answer(status=status, body=body, seconds=watch.seconds)
        if national_id is None:
            self.asked_about_hero.append(UUID(body["access_id"]))
        return answer

    @property
    def today(self) -> date:
        """The day that counts as today."""
        return self.population.nation.today


def now() -> datetime:
    """This instant, as the log says it."""
    return datetime.now(UTC)
