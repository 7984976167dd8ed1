from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import psycopg
import pytest
from evidence_service import AGREED, JOB, PERSON, STATUS, accesses, by_requirement, catalogue, put, serving, wait_until

from consumers.evidence import connections

BLOCKED = "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND application_name = 'yekbar-evidence'"


@contextmanager
def locked(database_url, table):
    """Nobody else reads or writes the table in the block."""
    with psycopg.connect(database_url) as connection:
        connection.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
        yield


@pytest.fixture
def impatient(database, database_url, tmp_path, monkeypatch):
    """The service with a short limit for a statement, and a person with records."""
    hasty = connections.SESSION.replace("statement_timeout=5000", "statement_timeout=300")
    monkeypatch.setattr(connections, "SESSION", hasty)
    put(database, STATUS, PERSON, {"standing": "clear", "debt": 0})
    put(database, JOB, PERSON, {"job": "a", "is_active": False})
    with serving(catalogue(*AGREED), database_url, tmp_path) as one:
        by_requirement(one.ask())
        yield one


def test_a_view_that_takes_too_long_makes_its_evidence_unavailable_and_no_other(impatient, database_url):
    with locked(database_url, '"tax.status".facts'):
        during = by_requirement(impatient.ask())
    after = by_requirement(impatient.ask())

    stands = {name: (one["status"], one["reason"]) for name, one in during.items()}
    assert stands["clearance"] == ("unavailable", "database-error")
    assert stands["jobs"] == ("met", None)
    assert {one["status"] for one in after.values()} == {"met"}


def test_a_record_that_takes_too_long_means_no_data(impatient, database_url, database):
    with locked(database_url, "yekbar.accesses"):
        during = impatient.ask()
    after = impatient.ask()

    assert (during.status_code, during.json()["type"]) == (503, "urn:yekbar:problem:unavailable")
    assert "cleared" not in during.text
    assert after.status_code == 200
    assert len(accesses(database)) == 2


def test_a_connection_that_breaks_under_a_question_breaks_no_other(caller, database, database_url):
    put(database, STATUS, PERSON, {"standing": "clear", "debt": 0})
    with ThreadPoolExecutor() as pool, locked(database_url, '"tax.status".facts'):
        asked = pool.submit(caller.ask)
        wait_until(lambda: database.execute(BLOCKED).fetchone())
        database.execute(f"SELECT pg_terminate_backend(pid) FROM ({BLOCKED}) AS blocked")

        broken = asked.result(20)

    assert broken.status_code == 503
    assert by_requirement(caller.ask())["clearance"]["status"] == "met"
