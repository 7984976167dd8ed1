from datetime import UTC, datetime, timedelta

import pytest
from evidence_service import (
    AGREED,
    PERSON,
    STATUS,
    agreement,
    by_requirement,
    catalogue,
    caught_up,
    put,
    serving,
    wait_until,
)


@pytest.mark.parametrize("age_s", [400, None])
def test_a_view_that_is_too_old_gives_no_evidence(caller, database, age_s):
    put(database, STATUS, PERSON, {"standing": "clear", "debt": 0})
    caught_up(database, "tax.status", age_s and datetime.now(UTC) - timedelta(seconds=age_s))

    wait_until(lambda: by_requirement(caller.ask())["clearance"]["status"] == "stale")

    one = by_requirement(caller.ask())["clearance"]
    assert one["reason"] == ("older-than-promised" if age_s else "never-caught-up")
    assert one["evidence"] == []


def test_an_answer_says_what_its_source_sent_and_is_not_there(caller, database):
    put(database, STATUS, PERSON, {"standing": "clear", "debt": 0})
    database.execute(
        "INSERT INTO yekbar.sources VALUES ('tax.status', 'tax/outbox', 0, 9, 5, now(), now()),"
        " ('tax.status', 'tax/outbox', 1, 10, 4, now(), now())"
    )

    (clearance,) = by_requirement(caller.ask())["clearance"]["evidence"]

    assert clearance["freshness"]["source_state"] == "incomplete"
    assert clearance["freshness"]["missing_events"] == 1


def test_an_agreement_can_ask_for_fresher_views_than_their_contract_promises(database, database_url, tmp_path):
    put(database, STATUS, PERSON, {"standing": "clear", "debt": 0})
    caught_up(database, "tax.status", datetime.now(UTC) - timedelta(seconds=60))
    nation = catalogue(agreement("clearance", age_max=timedelta(seconds=30)), *AGREED[1:])

    with serving(nation, database_url, tmp_path) as caller:
        one = by_requirement(caller.ask())["clearance"]

    assert (one["status"], one["reason"]) == ("stale", "older-than-agreed")
