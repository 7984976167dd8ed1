import psycopg
import pytest
from evidence_service import JOB, PERSON, PSEUDONYMS, STATUS, accesses, by_requirement, put, wait_until


def test_the_access_is_recorded_with_the_claims_that_left_and_none_of_their_values(caller, database):
    put(database, STATUS, PERSON, {"standing": "clear", "debt": 0})
    put(database, JOB, PERSON, {"job": "a", "is_active": True})

    answer = caller.ask(case_reference="1405-17").json()

    (access,) = accesses(database)
    assert str(access["access_id"]) == answer["access_id"]
    assert access["subject"] == PSEUDONYMS.subject(PERSON)
    assert (access["requester"], access["procedure"], access["decision"]) == ("benefits", "benefit", "granted")
    assert access["case_reference"] == "1405-17"
    told = {one["evidence_type"]: (one["status"], one["claims"]) for one in access["evidence"]}
    assert told == {
        "clearance": ("met", ["cleared"]),
        "jobs": ("unmet", []),
        "last-job": ("met", ["job", "share", "standing"]),
    }


@pytest.mark.parametrize(
    ("fields", "status", "kind"),
    [
        ({"national_id": "0012345678"}, 422, "invalid-national-id"),
        ({"national_id": "x"}, 422, "invalid-national-id"),
        ({"procedure": "0012345679"}, 404, "no-such-procedure"),
    ],
)
def test_a_request_that_names_no_person_or_procedure_is_refused_and_recorded(caller, database, fields, status, kind):
    body = {"procedure": "benefit", "national_id": PERSON, **fields}

    answer = caller.http.post("/v1/evidence", json=body, headers=caller.headers())

    assert answer.status_code == status
    assert answer.json()["type"] == f"urn:yekbar:problem:{kind}"
    assert fields.popitem()[1] not in answer.text.replace(answer.json()["access_id"], "")
    (access,) = accesses(database)
    assert (access["decision"], access["reason"], access["evidence"]) == ("denied", kind, [])


def test_no_record_no_data(caller, database):
    put(database, STATUS, PERSON, {"standing": "clear", "debt": 0})
    database.execute("ALTER TABLE yekbar.accesses ADD CONSTRAINT full_disk CHECK (requester <> 'benefits')")

    answer = caller.ask()

    assert answer.status_code == 503
    assert set(answer.json()) == {"type", "title", "status", "detail"}
    assert answer.headers["retry-after"] == "1"
    database.execute("ALTER TABLE yekbar.accesses DROP CONSTRAINT full_disk")
    assert by_requirement(caller.ask())["clearance"]["status"] == "met"


def test_the_service_goes_on_after_its_connections_broke(caller, database):
    put(database, STATUS, PERSON, {"standing": "clear", "debt": 0})
    assert caller.ask().status_code == 200

    database.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'yekbar-evidence'"
    )

    wait_until(lambda: caller.ask().status_code == 200)


@pytest.mark.parametrize(
    "change",
    ["UPDATE yekbar.accesses SET requester = ''", "DELETE FROM yekbar.accesses", "TRUNCATE yekbar.accesses"],
)
def test_accesses_are_never_changed(database, change):
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="append-only"):
        database.execute(change)
