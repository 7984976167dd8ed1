import random

import pytest
from evidence_service import (
    AGREED,
    PERSON,
    STATUS,
    accesses,
    agreement,
    by_requirement,
    catalogue,
    put,
    serving,
    wait_until,
)

from bus.national_id import iran_check_digit


def ask_about(caller, numbers):
    """Asks about persons by number until no evidence is given; how many were asked about."""
    for count, number in enumerate(numbers, 1):
        nine = f"{number:09}"
        if caller.ask(f"{nine}{iran_check_digit(nine)}").status_code != 200:
            return count
    return None


def test_who_walks_through_the_numbers_is_stopped_and_the_agreements_are_suspended(caller, database):
    stopped = ask_about(caller, range(123_000_000, 123_001_000))

    assert stopped is not None
    read = lambda: database.execute("SELECT agency, kind, reason FROM yekbar.agreement_changes").fetchall()  # noqa: E731
    wait_until(lambda: len(read()) == 3)
    assert set(read()) == {("yekbar", "suspended", "harvest-suspected")}
    assert caller.ask().json()["requirements"][0]["reason"] == "suspended"


@pytest.mark.usefixtures("database")
def test_more_persons_than_agreed_are_not_given_in_one_hour(database_url, tmp_path):
    nation = catalogue(agreement("clearance", persons_per_hour=5), *AGREED[1:])

    with serving(nation, database_url, tmp_path) as caller:
        for number in range(8):
            nine = f"{number * 7_919_113 + 100_000_000:09}"
            caller.ask(f"{nine}{iran_check_digit(nine)}")
        wait_until(lambda: by_requirement(caller.ask())["clearance"]["reason"] == "budget-spent")
        found = by_requirement(caller.ask())

    assert found["jobs"]["status"] == "met"


def test_a_budget_ends_with_the_person_after_the_last_one_and_not_a_second_later(database, database_url, tmp_path):
    put(database, STATUS, PERSON, {"standing": "clear", "debt": 0})
    nation = catalogue(agreement("clearance", persons_per_hour=5, persons_per_call=9), *AGREED[1:])
    nines = [f"{number * 7_919_113 + 100_000_000:09}" for number in range(8)]
    persons = [f"{nine}{iran_check_digit(nine)}" for nine in nines]

    with serving(nation, database_url, tmp_path) as caller:
        reasons = [by_requirement(caller.ask(one))["clearance"]["reason"] for one in persons]
        again = by_requirement(caller.ask(persons[0]))["clearance"]["reason"]

    assert reasons == ["no-record"] * 5 + ["budget-spent"] * 3
    assert again == "budget-spent"


def test_many_persons_in_one_call_are_counted_each(database, database_url, tmp_path):
    put(database, STATUS, PERSON, {"standing": "clear", "debt": 0})
    nation = catalogue(*[agreement(one.evidence_type, persons_per_hour=5, persons_per_call=9) for one in AGREED])
    nines = [f"{number * 7_919_113 + 100_000_000:09}" for number in range(6)]
    persons = [f"{nine}{iran_check_digit(nine)}" for nine in nines]

    with serving(nation, database_url, tmp_path) as caller:
        body = {"procedure": "benefit", "national_ids": persons}
        answer = caller.http.post("/v1/evidence", json=body, headers=caller.headers())

    assert answer.status_code == 403
    assert {one["reason"] for one in answer.json()["requirements"]} == {"budget-spent"}
    assert [one["decision"] for one in accesses(database)] == ["denied"] * 6


def test_ordinary_use_goes_on_while_a_harvest_is_stopped(caller, database):
    put(database, STATUS, PERSON, {"standing": "clear", "debt": 0})
    draw = random.Random(7)
    nines = [f"{draw.randrange(10**8, 10**9)}" for _ in range(600)]

    answers = [caller.ask(f"{nine}{iran_check_digit(nine)}").status_code for nine in nines]

    assert set(answers) == {200}
    assert database.execute("SELECT count(*) FROM yekbar.agreement_changes").fetchone() == (0,)


@pytest.mark.usefixtures("database")
def test_two_instances_count_together(database_url, tmp_path):
    nation = catalogue(agreement("clearance", persons_per_hour=5), *AGREED[1:])

    with serving(nation, database_url, tmp_path) as one, serving(nation, database_url, tmp_path) as other:
        for number in range(8):
            nine = f"{number * 7_919_113 + 100_000_000:09}"
            (one, other)[number % 2].ask(f"{nine}{iran_check_digit(nine)}")
        for caller in (one, other):
            wait_until(lambda caller=caller: by_requirement(caller.ask())["clearance"]["reason"] == "budget-spent")
