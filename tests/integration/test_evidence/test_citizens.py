import pytest
from evidence_service import PERSON, STATUS, STRANGER, own_list, put

from consumers.evidence.models import Accesses


def test_citizens_see_who_asked_about_them_and_nobody_else(caller, database):
    put(database, STATUS, PERSON, {"standing": "clear", "debt": 0})
    asked = [caller.ask(case_reference="17").json()["access_id"], caller.ask(agency="tax").json()["access_id"]]
    caller.ask(STRANGER)

    answer = own_list(caller, "۰۰۱۲۳۴۵۶۷۹")

    shown = Accesses.model_validate_json(answer.content).accesses
    assert [str(one.access_id) for one in shown] == asked[::-1]
    assert [(one.requester, one.decision) for one in shown] == [("tax", "denied"), ("benefits", "granted")]
    granted = {one.evidence_type: one.claims for one in shown[1].evidence}
    assert granted["clearance"] == {"cleared": "cleared"}
    assert (shown[1].procedure_title, shown[1].legal_basis, shown[1].case_reference) == ("Benefit", "Act 1", "17")


def test_a_long_list_comes_in_pages(caller):
    asked = [caller.ask().json()["access_id"] for _ in range(5)]

    pages, path = [], "/v1/me/accesses?limit=2"
    while path:
        page = own_list(caller, path=path).json()
        pages.append([one["access_id"] for one in page["accesses"]])
        path = page["next"] and page["next"] + "&limit=2"

    assert pages == [asked[4:2:-1], asked[2:0:-1], asked[:1]]


@pytest.mark.parametrize("query", ["limit=0", "limit=201", "limit=x", "before=1", "national_id=0012345679"])
def test_a_page_that_cannot_be_is_refused(caller, query):
    answer = own_list(caller, path=f"/v1/me/accesses?{query}")

    assert answer.status_code == 422
    assert PERSON not in answer.text


def test_another_persons_list_is_refused_and_that_person_sees_it(caller):
    token = caller.issuer.token({"national_id": STRANGER, "acr": "high"})

    answer = caller.http.post(
        "/v1/me/accesses", json={"national_id": PERSON}, headers={"authorization": f"Bearer {token}"}
    )

    assert (answer.status_code, answer.json()["detail"]) == (403, "not-own-list")
    (seen,) = own_list(caller).json()["accesses"]
    assert (seen["access_id"], seen["requester"], seen["reason"]) == (
        answer.json()["access_id"],
        "citizen",
        "not-own-list",
    )


@pytest.mark.parametrize(
    "claims",
    [{"acr": "low"}, {"acr": None}, {"agency": "tax"}, {"national_id": None, "agency": "tax"}, {"national_id": "1"}],
)
def test_only_a_citizen_who_is_known_well_enough_has_a_list(caller, claims):
    assert own_list(caller, **claims).status_code == 403
