from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from evidence_service import (
    AGREED,
    PERSON,
    STATUS,
    STRANGER,
    accesses,
    by_requirement,
    catalogue,
    caught_up,
    own_list,
    put,
    record_type,
    serving,
    wait_until,
)

from consumers.views import create_views

ROLE = {"type": "enum", "name": "Role", "symbols": ["represented", "representative"]}
MANDATE = record_type(
    "registry.mandate",
    [
        {"name": "number", "type": "string"},
        {"name": "role", "type": ROLE},
        {"name": "procedure", "type": ["null", "string"], "default": None},
    ],
    key="number",
)


@pytest.fixture
def nation(database):
    create_views(database, MANDATE)
    caught_up(database, MANDATE.id, datetime.now(UTC))
    put(database, STATUS, PERSON, {"standing": "clear", "debt": 0})
    plain = catalogue(*AGREED)
    return replace(plain, record_types={**plain.record_types, MANDATE.id: MANDATE}, mandates=MANDATE.id)


@pytest.fixture
def caller(nation, database_url, tmp_path):
    with serving(nation, database_url, tmp_path) as one:
        yield one


def mandate(database, number="7", *, represented=PERSON, representative=STRANGER, procedure=None):
    for person, role in ((represented, "represented"), (representative, "representative")):
        put(database, MANDATE, person, {"number": number, "role": role, "procedure": procedure})


def test_the_evidence_is_that_of_the_represented_person_and_both_are_in_the_record(caller, database):
    mandate(database)

    answer = caller.ask(STRANGER, represented_party=PERSON)

    assert by_requirement(answer)["clearance"]["status"] == "met"
    row = database.execute("SELECT subject, representative FROM yekbar.accesses").fetchone()
    assert len(set(row)) == 2
    assert None not in row
    (shown,) = own_list(caller).json()["accesses"]
    assert shown["was_represented"] is True
    assert own_list(caller, STRANGER).json()["accesses"] == []


@pytest.mark.parametrize(
    "held",
    [
        pytest.param(None, id="none"),
        pytest.param({"represented": STRANGER, "representative": PERSON}, id="the other way"),
        pytest.param({"procedure": "loan"}, id="for another procedure"),
        pytest.param({"representative": PERSON}, id="for nobody else"),
    ],
)
def test_without_a_mandate_that_holds_nobody_is_represented(caller, database, held):
    if held is not None:
        mandate(database, **held)

    answer = caller.ask(STRANGER, represented_party=PERSON)

    assert (answer.status_code, answer.json()["detail"]) == (403, "no-mandate")
    assert [(one["decision"], one["reason"], one["evidence"]) for one in accesses(database)] == [
        ("denied", "no-mandate", [])
    ]


def test_two_mandates_do_not_make_one(caller, database):
    put(database, MANDATE, PERSON, {"number": "7", "role": "represented", "procedure": None})
    put(database, MANDATE, STRANGER, {"number": "8", "role": "representative", "procedure": None})

    assert caller.ask(STRANGER, represented_party=PERSON).status_code == 403


def test_a_mandate_for_one_procedure_opens_no_list(caller, database):
    mandate(database, procedure="benefit")
    token = caller.issuer.token({"national_id": STRANGER, "acr": "high"})

    asked = caller.ask(STRANGER, represented_party=PERSON)
    listed = caller.http.post(
        "/v1/me/accesses", json={"national_id": PERSON}, headers={"authorization": f"Bearer {token}"}
    )

    assert (asked.status_code, listed.status_code) == (200, 403)


def test_an_old_view_of_mandates_represents_nobody(caller, database):
    mandate(database)
    caught_up(database, MANDATE.id, datetime.now(UTC) - timedelta(hours=1))

    answer = caller.ask(STRANGER, represented_party=PERSON)
    caught_up(database, MANDATE.id, datetime.now(UTC))

    assert answer.status_code == 503
    wait_until(lambda: caller.ask(STRANGER, represented_party=PERSON).status_code == 200)


def test_who_has_no_agreement_learns_of_no_mandate(caller, database):
    mandate(database)

    with_one = caller.ask(STRANGER, agency="tax", represented_party=PERSON)
    without = caller.ask(PERSON, agency="tax", represented_party=STRANGER)

    def told(answer):
        return answer.content.replace(answer.json()["access_id"].encode(), b"-")

    assert told(with_one) == told(without)
