import pytest
from evidence_service import AGREED, agreement, by_requirement, catalogue, serving, wait_until

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


@pytest.mark.usefixtures("database")
def test_two_instances_count_together(database_url, tmp_path):
    nation = catalogue(agreement("clearance", persons_per_hour=5), *AGREED[1:])

    with serving(nation, database_url, tmp_path) as one, serving(nation, database_url, tmp_path) as other:
        for number in range(8):
            nine = f"{number * 7_919_113 + 100_000_000:09}"
            (one, other)[number % 2].ask(f"{nine}{iran_check_digit(nine)}")
        for caller in (one, other):
            wait_until(lambda caller=caller: by_requirement(caller.ask())["clearance"]["reason"] == "budget-spent")
