import asyncio
import json
import socket
import threading
import time
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, date, datetime, timedelta
from uuid import UUID, uuid4

import httpx2
import psycopg
import pytest

from bus.http.server import listening, server
from bus.http.settings import read_token_settings
from bus.national_id import iran_check_digit
from bus.settings import Mode
from bus.subject import Pseudonymizer
from consumers.accesses.record import create_accesses
from consumers.agreements.changes import ChangeKind
from consumers.agreements.store import create_agreements, make, new_change
from consumers.client import AwayError, ClientError, EvidenceClient, NotPermittedError, StaleError
from consumers.evidence.app import EvidenceApp
from consumers.evidence.models import Accesses, EvidenceAnswer, Problem, ProcedureDescription, Procedures
from consumers.evidence.watch import create_persons_asked
from consumers.materializer.positions import create_positions
from consumers.views import create_views
from deploy.development_issuer import DevelopmentIssuer
from deploy.local.process import free_port
from registry.contracts import (
    Agency,
    Agreement,
    Catalogue,
    Claim,
    EvidenceType,
    Per,
    Procedure,
    RecordType,
    Requirement,
)

PERSON, STRANGER = "0012345679", "0499370899"
START = datetime(2026, 1, 1, tzinfo=UTC)
PSEUDONYMS = Pseudonymizer(b"k" * 32, "iran")


def record_type(name, fields, *, key=None):
    return RecordType(
        id=name,
        agency=name.partition(".")[0],
        title={},
        body={"type": "record", "name": "Body", "fields": fields},
        record_key_field=key,
        fields=(),
        rules=(),
        freshness=timedelta(minutes=5),
        heartbeat=timedelta(minutes=1),
    )


STATUS = record_type("tax.status", [{"name": "standing", "type": "string"}, {"name": "debt", "type": "long"}])
JOB = record_type(
    "labour.job", [{"name": "job", "type": "string"}, {"name": "is_active", "type": "boolean"}], key="job"
)


def claim(name, sql):
    return Claim(name=name, title={"en": name, "fa": "ادعا"}, sql=sql)


def evidence_type(name, provider, per, views, claims, proven_when=None):
    return EvidenceType(
        id=name,
        provider=provider,
        title={"en": name, "fa": "مدرک"},
        per=per,
        views=views,
        claims=tuple(claim(*one) for one in claims.items()),
        proven_when=proven_when,
    )


CLEARANCE = evidence_type(
    "clearance",
    "tax",
    Per.RECORD,
    {"t": "tax.status"},
    {"cleared": "t.standing = 'clear'", "debt": "t.debt"},
    "cleared",
)
JOBS = evidence_type(
    "jobs", "labour", Per.PERSON, {"j": "labour.job"}, {"active": "count(*) FILTER (WHERE j.is_active)"}, "active = 0"
)
LAST_JOB = evidence_type(
    "last-job",
    "labour",
    Per.RECORD,
    {"j": "labour.job", "t": "tax.status"},
    {"job": "j.job", "standing": "t.standing", "share": "100 % 7"},
)


def agreement(name, **changed):
    return Agreement(
        **{
            "id": f"benefit.{name}",
            "requester": "benefits",
            "provider": "tax" if name == "clearance" else "labour",
            "evidence_type": name,
            "procedure": "benefit",
            "purpose": "eligibility",
            "legal_basis": "Act 1",
            "claims": {"clearance": ("cleared",), "jobs": ("active",), "last-job": ("job", "share", "standing")}[name],
            "age_max": None,
            "persons_per_hour": 100_000,
            "valid_from": date(2026, 1, 1),
            "valid_until": date(2126, 1, 1),
            "demands_case_reference": False,
            "demands_acting_user": False,
            "accepted_by_provider": True,
            "accepted_by_requester": True,
            **changed,
        }
    )


def catalogue(*agreements):
    requirements = [
        Requirement(id=one, title={"en": one.title(), "fa": "شرط"}, evidence_lists=((one,),))
        for one in ("clearance", "jobs", "last-job")
    ]
    return Catalogue(
        national_id_scheme="iran",
        agencies={one: Agency(id=one, title={"en": one, "fa": "سازمان"}) for one in ("tax", "labour", "benefits")},
        record_types={one.id: one for one in (STATUS, JOB)},
        evidence_types={one.id: one for one in (CLEARANCE, JOBS, LAST_JOB)},
        procedures={
            "benefit": Procedure(
                id="benefit",
                agency="benefits",
                title={"en": "Benefit", "fa": "مقرری"},
                legal_basis="Act 1",
                requirements=tuple(requirements),
            )
        },
        agreements={one.id: one for one in agreements},
    )


AGREED = (agreement("clearance"), agreement("jobs"), agreement("last-job"))


@pytest.fixture
def database(database_url):
    with psycopg.connect(database_url, autocommit=True) as connection:
        create_positions(connection)
        create_accesses(connection)
        create_agreements(connection)
        create_persons_asked(connection)
        for one in (STATUS, JOB):
            create_views(connection, one)
            caught_up(connection, one.id, datetime.now(UTC))
        yield connection


def caught_up(connection, view, at):
    connection.execute(
        "INSERT INTO yekbar.positions (view, partition, topic, topic_id, generation, next_position, caught_up_at)"
        " VALUES (%s, 0, '', '', 1, 1, %s) ON CONFLICT (view, partition) DO UPDATE SET caught_up_at = %s",
        (view, at, at),
    )


def put(connection, record_type, national_id, body, **changed):
    """A fact that was created, straight into the view; the materializer's own tests show how facts come there."""
    event_id = uuid4()
    row = {
        "subject": PSEUDONYMS.subject(national_id),
        "record_key": body.get(record_type.record_key_field, ""),
        "event_id": event_id,
        "change_kind": 0,
        "effective_from": START,
        "recorded_at": START,
        "known_at": START + timedelta(seconds=1),
        "partition": 0,
        "position": int(connection.execute(f'SELECT count(*) FROM "{record_type.id}".facts').fetchone()[0]),
        "under_investigation": [],
        **body,
        **changed,
    }
    names = ", ".join(row)
    marks = ", ".join(["%s"] * len(row))
    connection.execute(f'INSERT INTO "{record_type.id}".facts ({names}) VALUES ({marks})', [*row.values()])
    return event_id


class Caller:
    """A requester with a token, and the service's address."""

    def __init__(self, url, issuer):
        self.issuer = issuer
        self.http = httpx2.Client(base_url=url, timeout=20)

    def headers(self, agency="benefits", **claims):
        return {"authorization": f"Bearer {self.issuer.token({'agency': agency, **claims})}"}

    def ask(self, national_id=PERSON, *, agency="benefits", headers=None, **fields):
        body = {"procedure": "benefit", "national_id": national_id, **fields}
        return self.http.post("/v1/evidence", json=body, headers={**self.headers(agency), **(headers or {})})


@contextmanager
def serving(nation, database_url, folder):
    issuer = DevelopmentIssuer(folder=folder / "issuer", mode=Mode.DEVELOPMENT)
    app = EvidenceApp(
        catalogue=nation,
        pseudonymizer=PSEUDONYMS,
        settings=read_token_settings(issuer.environment()),
        database_url=database_url,
    )
    port = free_port()
    door = server(app)
    thread = threading.Thread(target=serve_until_told, args=(door, port))
    thread.start()
    caller = Caller(f"http://127.0.0.1:{port}", issuer)
    try:
        wait_until(lambda: answers(caller))
        yield caller
    finally:
        caller.http.close()
        door.should_exit = True
        thread.join(20)


def serve_until_told(door, port):
    with listening("127.0.0.1", port) as taken:
        door.run(sockets=[taken])


def answers(caller):
    try:
        return caller.http.get("/v1/procedures").status_code == 200
    except httpx2.HTTPError:
        return False


def wait_until(holds, timeout_s=20):
    deadline = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture
def caller(database, database_url, tmp_path):  # noqa: ARG001 - the tables are made
    with serving(catalogue(*AGREED), database_url, tmp_path) as one:
        yield one


def by_requirement(response):
    assert response.status_code == 200, response.text
    EvidenceAnswer.model_validate_json(response.content)
    return {one["requirement"]: one for one in response.json()["requirements"]}


def accesses(connection):
    columns = "access_id, requester, procedure, subject, decision, reason, case_reference, evidence"
    with connection.cursor(row_factory=psycopg.rows.dict_row) as cursor:
        return cursor.execute(f"SELECT {columns} FROM yekbar.accesses ORDER BY access_id").fetchall()


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


def test_a_view_that_is_missing_makes_its_evidence_unavailable_and_no_other(caller, database):
    put(database, STATUS, PERSON, {"standing": "clear", "debt": 0})
    database.execute('DROP SCHEMA "labour.job" CASCADE')

    found = by_requirement(caller.ask())

    assert found["clearance"]["status"] == "met"
    assert (found["jobs"]["status"], found["jobs"]["reason"]) == ("unavailable", "no-such-view")


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


def bad(caller, *, body=None, content=None, headers=None, method="POST", path="/v1/evidence"):
    sent = {"authorization": caller.headers()["authorization"], "content-type": "application/json", **(headers or {})}
    raw = content if content is not None else json.dumps(body).encode()
    return caller.http.request(method, path, content=raw, headers=sent)


GOOD = {"procedure": "benefit", "national_id": PERSON}


@pytest.mark.parametrize(
    ("sent", "status", "kind"),
    [
        ({"content": b"{"}, 400, "malformed-json"),
        ({"content": b"[" * 10_000}, 400, "malformed-json"),
        ({"content": b"\xff\xfe"}, 400, "malformed-json"),
        ({"content": b"[]"}, 422, "invalid-request"),
        ({"content": b" " * 20_000}, 413, "body-too-large"),
        ({"body": {**GOOD, "0012345679": 1}}, 422, "invalid-request"),
        ({"body": {"procedure": "benefit"}}, 422, "invalid-request"),
        ({"body": {**GOOD, "national_id": 12345679}}, 422, "invalid-request"),
        ({"body": {**GOOD, "case_reference": "a\nb"}}, 422, "invalid-request"),
        ({"body": {**GOOD, "effective_at": "2026-01-01T00:00:00"}}, 422, "invalid-request"),
        ({"body": GOOD, "headers": {"content-type": "text/plain"}}, 415, "unsupported-media-type"),
        ({"body": GOOD, "path": "/v1/evidence?national_id=0012345679"}, 400, "query-not-allowed"),
        ({"body": GOOD, "path": "/v1/evidence/0012345679"}, 404, "not-found"),
        ({"body": GOOD, "method": "PUT"}, 405, "method-not-allowed"),
        ({"body": GOOD, "headers": {"authorization": ""}}, 401, "unauthenticated"),
        ({"body": GOOD, "headers": {"authorization": "Basic eDp5"}}, 401, "unauthenticated"),
        ({"body": GOOD, "headers": {"authorization": "Bearer x.y.z"}}, 401, "unauthenticated"),
    ],
)
def test_bad_input_is_a_typed_problem_that_repeats_nothing_and_records_nothing(caller, database, sent, status, kind):
    answer = bad(caller, **sent)

    assert answer.status_code == status
    assert answer.json()["type"] == f"urn:yekbar:problem:{kind}"
    assert PERSON not in answer.text
    Problem.model_validate_json(answer.content)
    assert accesses(database) == []


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


def own_list(caller, person=PERSON, path="/v1/me/accesses", **claims):
    said = {"national_id": person, "acr": "high", **claims}
    token = caller.issuer.token({name: value for name, value in said.items() if value is not None})
    return caller.http.get(path, headers={"authorization": f"Bearer {token}"})


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


def test_a_citizens_token_gets_no_evidence(caller):
    answer = caller.http.post(
        "/v1/evidence", json=GOOD, headers=caller.headers(agency="benefits", national_id=PERSON, acr="high")
    )

    assert answer.status_code == 403


def test_procedures_can_be_found_by_anybody(caller):
    listed = Procedures.model_validate_json(caller.http.get("/v1/procedures").content)
    one = ProcedureDescription.model_validate_json(caller.http.get("/v1/procedures/benefit").content)

    assert [procedure.procedure for procedure in listed.procedures] == ["benefit"]
    assert [requirement.requirement for requirement in one.requirements] == ["clearance", "jobs", "last-job"]
    assert one.requirements[0].evidence_lists[0][0].provider == "tax"
    assert caller.http.get("/v1/procedures/none").status_code == 404


def test_procedures_can_be_read_as_linked_data_without_another_site(caller):
    answer = caller.http.get("/v1/procedures/benefit", headers={"accept": "application/ld+json"})

    assert answer.headers["content-type"] == "application/ld+json"
    nodes = {node["id"]: node for node in answer.json()["@graph"]}
    named = {name for node in nodes.values() for value in node.values() for name in listed(value)}
    assert {name for name in named if name.startswith("urn:yekbar:")} <= set(nodes)
    service = nodes["urn:yekbar:procedure:benefit"]
    assert service["type"] == "cpsv:PublicService"
    (evidence_list,) = nodes[service["holdsRequirement"][0]]["hasEvidenceTypeList"]
    (evidence_type,) = nodes[evidence_list]["specifiesEvidenceType"]
    assert nodes[nodes[evidence_type]["publisher"]]["identifier"] == "tax"
    assert isinstance(answer.json()["@context"], dict)


def listed(value):
    return value if isinstance(value, list) else [value] if isinstance(value, str) else []


def test_labels_come_in_the_language_that_is_asked_for(caller):
    english, persian = caller.ask(), caller.ask(headers={"accept-language": "fa-IR,fa;q=0.9,en;q=0.5"})

    assert english.json()["title"] == "Benefit"
    assert persian.json()["title"] == "مقرری"
    assert persian.headers["content-language"] == "fa"


def test_the_page_and_the_openapi_document_are_served(caller):
    page, document = caller.http.get("/"), caller.http.get("/openapi.json").json()

    assert "مقرری" in page.text
    assert document["openapi"] == "3.1.0"
    assert {"/v1/evidence", "/v1/procedures", "/v1/procedures/{procedure}"} <= set(document["paths"])
    assert "EvidenceRequest" in document["components"]["schemas"]


def test_no_id_is_in_the_log(caller, database, capfd):
    put(database, STATUS, PERSON, {"standing": "clear", "debt": 0})
    caller.ask()
    caller.ask("0012345678")
    bad(caller, body={**GOOD, "x": PERSON})
    database.execute('DROP SCHEMA "labour.job" CASCADE')
    caller.ask()

    told = "".join(capfd.readouterr())

    assert "0012345" not in told
    assert str(PSEUDONYMS.subject(PERSON)) not in told
    assert UUID(int=PSEUDONYMS.subject(PERSON).int).hex not in told


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


def test_nobody_is_answered_while_the_agreements_cannot_be_read(caller, database):
    put(database, STATUS, PERSON, {"standing": "clear", "debt": 0})
    database.execute("ALTER TABLE yekbar.agreement_changes RENAME COLUMN kind TO sort")

    wait_until(lambda: caller.ask().status_code == 503)

    database.execute("ALTER TABLE yekbar.agreement_changes RENAME COLUMN sort TO kind")
    wait_until(lambda: caller.ask().status_code == 200)


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


def raw(caller, sent, *, answers=None):
    """What comes back for bytes that no client would send; the sender hangs up unless it waits for answers."""
    address = (caller.http.base_url.host, caller.http.base_url.port)
    with socket.create_connection(address, timeout=20) as opened:
        opened.sendall(sent)
        if answers is None:
            opened.shutdown(socket.SHUT_WR)
        answer = b""
        while answer.count(b"HTTP/1.1 ") != answers and (part := opened.recv(65_536)):
            answer += part
        return answer


HEAD = b"POST /v1/evidence HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(b"\x00\xff" * 200, id="no http"),
        pytest.param(HEAD + b"Content-Length: 400\r\n\r\n{", id="truncated"),
        pytest.param(HEAD + b"Content-Length: 99999999\r\n\r\n" + b"{" * 40_000, id="oversized"),
        pytest.param(HEAD + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", id="smuggled"),
        pytest.param(HEAD + b"X: " + b"y" * 200_000 + b"\r\n\r\n", id="endless header"),
    ],
)
def test_bytes_that_are_no_request_bring_no_data_and_harm_nobody(caller, database, sent):
    put(database, STATUS, PERSON, {"standing": "clear", "debt": 0})

    with suppress(OSError):
        assert b"cleared" not in raw(caller, sent)

    assert by_requirement(caller.ask())["clearance"]["status"] == "met"


def test_pipelined_requests_are_answered_in_their_order(caller, database):
    put(database, STATUS, PERSON, {"standing": "clear", "debt": 0})
    token = caller.headers()["authorization"].encode()
    bodies = [json.dumps({**GOOD, "case_reference": str(number)}).encode() for number in range(3)]
    sent = [HEAD + b"Authorization: %b\r\nContent-Length: %d\r\n\r\n%b" % (token, len(b), b) for b in bodies]

    answer = raw(caller, b"".join(sent), answers=3)

    assert answer.count(b"HTTP/1.1 200") == 3
    assert [one["case_reference"] for one in accesses(database)] == ["0", "1", "2"]


def test_many_idle_connections_keep_nobody_from_an_answer(caller, database):
    put(database, STATUS, PERSON, {"standing": "clear", "debt": 0})
    address = (caller.http.base_url.host, caller.http.base_url.port)

    with ExitStack() as idle:
        for _ in range(1_000):
            idle.enter_context(socket.create_connection(address, timeout=20))
        found = by_requirement(caller.ask())

    assert found["clearance"]["status"] == "met"
