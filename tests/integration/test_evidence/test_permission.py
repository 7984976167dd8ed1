import psycopg
import pytest
from evidence_service import (
    AGREED,
    PERSON,
    STATUS,
    STRANGER,
    accesses,
    agreement,
    by_requirement,
    catalogue,
    put,
    serving,
    wait_until,
)

from consumers.agreements.changes import ChangeKind
from consumers.agreements.store import make, new_change
from consumers.evidence.models import Problem


def test_what_no_agreement_permits_is_not_given_beside_what_one_does(database, database_url, tmp_path):
    put(database, STATUS, PERSON, {"standing": "clear", "debt": 0})
    nation = catalogue(AGREED[0], agreement("jobs", demands_case_reference=True))

    with serving(nation, database_url, tmp_path) as caller:
        found = by_requirement(caller.ask())
        with_case = by_requirement(caller.ask(case_reference="17"))

    assert found["clearance"]["status"] == "met"
    assert (found["jobs"]["status"], found["jobs"]["reason"]) == ("not_permitted", "case-reference-required")
    assert (found["last-job"]["status"], found["last-job"]["reason"]) == ("not_permitted", "no-agreement")
    assert with_case["jobs"]["status"] == "met"
    (entry,) = [one for one in accesses(database)[0]["evidence"] if one["evidence_type"] == "jobs"]
    assert (entry["agreement"], entry["status"], entry["claims"]) == ("benefit.jobs", "not_permitted", [])


def without_access_id(response):
    return response.content.replace(response.json()["access_id"].encode(), b"")


def test_a_denial_is_the_same_whether_or_not_the_person_exists(caller, database):
    put(database, STATUS, PERSON, {"standing": "clear", "debt": 0})

    exists, unknown = caller.ask(agency="tax"), caller.ask(STRANGER, agency="tax")

    assert exists.status_code == unknown.status_code == 403
    assert without_access_id(exists) == without_access_id(unknown)
    assert exists.headers["content-type"] == "application/problem+json"
    Problem.model_validate_json(exists.content)
    assert [one["decision"] for one in accesses(database)] == ["denied", "denied"]
    assert [one["reason"] for one in accesses(database)] == ["no-agreement", "no-agreement"]


def changed(database, nation, kind, agency, **more):
    make(database, nation, new_change("benefit.clearance", kind, agency=agency, **more))


def test_an_agreement_that_is_suspended_and_resumed_counts_on_a_running_service(caller, database):
    put(database, STATUS, PERSON, {"standing": "clear", "debt": 0})
    nation = catalogue(*AGREED)
    assert by_requirement(caller.ask())["clearance"]["status"] == "met"

    changed(database, nation, ChangeKind.SUSPENDED, "tax", reason="under review")
    wait_until(lambda: by_requirement(caller.ask())["clearance"]["status"] == "not_permitted", 5)
    denied = by_requirement(caller.ask())["clearance"]
    changed(database, nation, ChangeKind.RESUMED, "tax")
    wait_until(lambda: by_requirement(caller.ask())["clearance"]["status"] == "met", 5)

    assert denied["reason"] == "suspended"


def test_changes_of_agreements_are_never_changed(database):
    changed(database, catalogue(*AGREED), ChangeKind.SUSPENDED, "tax")

    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="append-only"):
        database.execute("DELETE FROM yekbar.agreement_changes")


def test_nobody_is_answered_while_the_agreements_cannot_be_read(caller, database):
    put(database, STATUS, PERSON, {"standing": "clear", "debt": 0})
    database.execute("ALTER TABLE yekbar.agreement_changes RENAME COLUMN kind TO sort")

    wait_until(lambda: caller.ask().status_code == 503)

    database.execute("ALTER TABLE yekbar.agreement_changes RENAME COLUMN sort TO kind")
    wait_until(lambda: caller.ask().status_code == 200)
