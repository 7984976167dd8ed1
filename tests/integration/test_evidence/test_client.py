from dataclasses import replace

import pytest
from evidence_service import AGREED, JOB, PERSON, STATUS, STRANGER, accesses, catalogue, caught_up, put, serving

from consumers.client import AwayError, ClientError, EvidenceClient, NotPermittedError, StaleError


@pytest.fixture
def client(caller):
    token = caller.headers()["authorization"].removeprefix("Bearer ")
    with EvidenceClient(str(caller.http.base_url), token=lambda: token) as one:
        yield one


def test_the_client_gives_claims_by_evidence_type(client, database):
    put(database, STATUS, PERSON, {"standing": "clear", "debt": 0})
    put(database, JOB, PERSON, {"job": "a", "is_active": False})

    answer = client.ask("benefit", PERSON, case_reference="17")

    assert answer.is_complete
    assert answer.claims("clearance") == [{"cleared": True}]
    assert client.procedure("benefit").agency == client.procedures().procedures[0].agency == "benefits"


def test_the_client_raises_on_stale_evidence_unless_told_otherwise(client, database):
    put(database, STATUS, PERSON, {"standing": "clear", "debt": 0})
    caught_up(database, "tax.status", None)

    with pytest.raises(StaleError, match="clearance") as raised:
        client.ask("benefit", PERSON)
    answer = client.ask("benefit", PERSON, allow_stale=True)

    assert raised.value.answer.claims("clearance") == answer.claims("clearance") == []


def test_the_client_tells_what_is_wrong_without_the_id(client, caller):
    other = caller.headers("tax")["authorization"].removeprefix("Bearer ")

    with pytest.raises(ClientError, match="national id is not valid") as wrong:
        client.ask("benefit", "0012345678")
    with (
        EvidenceClient(str(caller.http.base_url), token=lambda: other) as stranger,
        pytest.raises(NotPermittedError) as denied,
    ):
        stranger.ask("benefit", PERSON)
    with EvidenceClient("http://127.0.0.1:1", token=lambda: "") as lost, pytest.raises(AwayError):
        lost.ask("benefit", PERSON)

    assert "0012345678" not in str(wrong.value)
    assert denied.value.problem.requirements[0].reason == "no-agreement"


def test_the_client_asks_about_many_persons_where_the_agreements_allow_it(database, database_url, tmp_path):
    put(database, STATUS, PERSON, {"standing": "clear", "debt": 0})
    nation = catalogue(*[replace(one, persons_per_call=3) for one in AGREED])

    with serving(nation, database_url, tmp_path) as caller:
        token = caller.headers()["authorization"].removeprefix("Bearer ")
        with EvidenceClient(str(caller.http.base_url), token=lambda: token) as client:
            first, wrong, other = client.ask_about_many("benefit", [PERSON, "0012345678", STRANGER])
            with pytest.raises(NotPermittedError) as refused:
                client.ask_about_many("benefit", [PERSON] * 4)

    assert first.claims("clearance") == [{"cleared": True}]
    assert (wrong.status, wrong.type.rpartition(":")[2]) == (422, "invalid-national-id")
    assert other.claims("clearance") == []
    assert len(refused.value.problem.access_ids) == 4
    assert len(accesses(database)) == 7
