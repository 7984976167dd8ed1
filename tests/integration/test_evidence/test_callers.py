import pytest
from evidence_service import GOOD, PERSON

from bus.settings import Mode
from deploy.development_issuer import DevelopmentIssuer


@pytest.mark.parametrize(
    ("claims", "fault"),
    [
        ({"exp": 1}, "expired"),
        ({"nbf": 10**11}, "not-yet-valid"),
        ({"aud": "somebody-else"}, "wrong-audience"),
        ({"iss": "https://elsewhere.example"}, "wrong-issuer"),
        ({"exp": None}, "missing-claim"),
    ],
)
def test_a_token_that_says_the_wrong_thing_is_refused(caller, claims, fault):
    answer = caller.http.post("/v1/evidence", json=GOOD, headers=caller.headers(**claims))

    assert answer.status_code == 401
    assert answer.json()["detail"] == fault
    assert answer.headers["www-authenticate"] == f'Bearer error="invalid_token", error_description="{fault}"'


def test_a_token_of_another_issuer_with_another_key_is_refused(caller, tmp_path):
    other = DevelopmentIssuer(folder=tmp_path / "other", mode=Mode.DEVELOPMENT)

    answer = caller.http.post(
        "/v1/evidence", json=GOOD, headers={"authorization": f"Bearer {other.token({'agency': 'benefits'})}"}
    )

    assert (answer.status_code, answer.json()["detail"]) == (401, "unknown-key")


def test_a_token_without_an_agency_gets_no_evidence(caller):
    answer = caller.http.post("/v1/evidence", json=GOOD, headers=caller.headers(agency=None))

    assert answer.status_code == 403


def test_a_citizens_token_gets_no_evidence(caller):
    answer = caller.http.post(
        "/v1/evidence", json=GOOD, headers=caller.headers(agency="benefits", national_id=PERSON, acr="high")
    )

    assert answer.status_code == 403
