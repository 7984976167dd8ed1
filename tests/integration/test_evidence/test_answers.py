import asyncio
import json
from datetime import timedelta
from uuid import UUID, uuid4

import httpx2
import pytest
from evidence_service import (
    JOB,
    PERSON,
    PSEUDONYMS,
    START,
    STATUS,
    STRANGER,
    accesses,
    by_requirement,
    put,
)

from bus.national_id import iran_check_digit


def test_one_call_brings_every_requirement_with_its_evidence_and_its_source(caller, database):
    tax = put(database, STATUS, PERSON, {"standing": "clear", "debt": 0}, under_investigation=["debt"])
    job = put(database, JOB, PERSON, {"job": "کارگاه", "is_active": False}, effective_from=START + timedelta(days=3))

    answer = caller.ask(case_reference="1405-17")

    found = by_requirement(answer)
    assert answer.json()["is_complete"] is True
    assert {one["status"] for one in found.values()} == {"met"}
    (clearance,) = found["clearance"]["evidence"]
    assert clearance["claims"] == {"cleared": True}
    assert clearance["provider"] == "tax"
    assert clearance["agreement"] == "benefit.clearance"
    assert clearance["under_investigation"] == ["debt"]
    assert clearance["events"] == [{"record_type": "tax.status", "event_id": str(tax), "partition": 0, "position": 0}]
    assert clearance["effective_from"] == "2026-01-01T00:00:00+00:00"
    assert clearance["effective_to"] is None
    assert clearance["freshness"]["lag_s"] < 60
    assert found["jobs"]["evidence"][0]["claims"] == {"active": 0}
    (last,) = found["last-job"]["evidence"]
    assert last["claims"] == {"job": "کارگاه", "share": 2, "standing": "clear"}
    assert [one["event_id"] for one in last["events"]] == [str(job), str(tax)]
    assert last["effective_from"] == "2026-01-04T00:00:00+00:00"


def test_a_person_without_records_has_the_evidence_that_counts_them(caller):
    found = by_requirement(caller.ask(STRANGER))

    assert (found["clearance"]["status"], found["clearance"]["reason"]) == ("unmet", "no-record")
    assert found["jobs"]["status"] == "met"
    assert found["jobs"]["evidence"][0]["claims"] == {"active": 0}
    assert found["jobs"]["evidence"][0]["events"] == []


def test_an_unmet_requirement_discloses_no_claim(caller, database):
    put(database, STATUS, PERSON, {"standing": "in_debt", "debt": 17})

    answer = caller.ask()

    one = by_requirement(answer)["clearance"]
    assert (one["status"], one["reason"], one["evidence"]) == ("unmet", "not-proven", [])
    assert one["tried"] == [
        {"evidence_type": "clearance", "provider": "tax", "status": "unmet", "reason": "not-proven"}
    ]
    assert "17" not in json.dumps(one)


@pytest.mark.parametrize("written", ["۰۰۱۲۳۴۵۶۷۹", "٠٠١٢٣٤٥٦٧٩", "００１２３４５６７９", "001-2345679"])
def test_an_id_in_any_script_of_digits_is_the_same_person(caller, database, written):
    put(database, STATUS, PERSON, {"standing": "clear", "debt": 0})

    assert by_requirement(caller.ask(written))["clearance"]["status"] == "met"


def test_what_was_effective_then_as_known_then_is_one_call(caller, database):
    wrong = put(database, STATUS, PERSON, {"standing": "clear", "debt": 0})
    put(
        database,
        STATUS,
        PERSON,
        {"standing": "in_debt", "debt": 5},
        change_kind=2,
        previous_event_id=wrong,
        known_at=START + timedelta(days=10),
    )
    database.execute('UPDATE "tax.status".facts SET voided_by = %s WHERE event_id = %s', (uuid4(), wrong))

    now = by_requirement(caller.ask())
    then = by_requirement(caller.ask(known_at="2026-01-05T00:00:00Z", effective_at="2026-01-02T00:00:00Z"))
    before = by_requirement(caller.ask(effective_at="2025-12-31T00:00:00Z"))

    assert now["clearance"]["status"] == "unmet"
    assert then["clearance"]["status"] == "met"
    assert then["clearance"]["evidence"][0]["freshness"]["as_of"] == "2026-01-05T00:00:00+00:00"
    assert before["clearance"]["reason"] == "no-record"


def test_the_future_is_not_told(caller):
    answer = caller.ask(effective_at="2126-01-01T00:00:00Z")

    assert answer.status_code == 422
    assert answer.json()["errors"] == [{"field": "effective_at", "message": "must not be in the future"}]


def test_a_view_that_is_missing_makes_its_evidence_unavailable_and_no_other(caller, database):
    put(database, STATUS, PERSON, {"standing": "clear", "debt": 0})
    database.execute('DROP SCHEMA "labour.job" CASCADE')

    found = by_requirement(caller.ask())

    assert found["clearance"]["status"] == "met"
    assert (found["jobs"]["status"], found["jobs"]["reason"]) == ("unavailable", "no-such-view")


def test_many_at_once_get_each_their_own_answer(caller, database):
    ids = [f"{number:09}" for number in range(1_000_000, 1_000_040)]
    people = [f"{nine}{iran_check_digit(nine)}" for nine in ids]
    for number, person in enumerate(people):
        put(database, JOB, person, {"job": f"job-{number}", "is_active": True})

    async def ask_all():
        async with httpx2.AsyncClient(base_url=caller.http.base_url, headers=caller.headers(), timeout=20) as client:
            bodies = [{"procedure": "benefit", "national_id": one} for one in people]
            return await asyncio.gather(*(client.post("/v1/evidence", json=body) for body in bodies))

    found = asyncio.run(ask_all())

    jobs = [by_requirement(one)["last-job"]["evidence"][0]["claims"]["job"] for one in found]
    assert jobs == [f"job-{number}" for number in range(40)]
    assert len({one.json()["access_id"] for one in found}) == len(accesses(database)) == 40


def test_labels_come_in_the_language_that_is_asked_for(caller):
    english, persian = caller.ask(), caller.ask(headers={"accept-language": "fa-IR,fa;q=0.9,en;q=0.5"})

    assert english.json()["title"] == "Benefit"
    assert persian.json()["title"] == "مقرری"
    assert persian.headers["content-language"] == "fa"


def test_no_id_is_in_the_log(caller, database, capfd):
    put(database, STATUS, PERSON, {"standing": "clear", "debt": 0})
    caller.ask()
    caller.ask("0012345678")
    caller.ask(x=PERSON)
    database.execute('DROP SCHEMA "labour.job" CASCADE')
    caller.ask()

    told = "".join(capfd.readouterr())

    assert "0012345" not in told
    assert str(PSEUDONYMS.subject(PERSON)) not in told
    assert UUID(int=PSEUDONYMS.subject(PERSON).int).hex not in told
