"""A small nation over a database of its own, and the evidence API over both, with callers."""

import threading
import time
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from uuid import uuid4

import httpx2
import psycopg

from bus.http.server import listening, server
from bus.http.settings import read_token_settings
from bus.settings import Mode
from bus.subject import Pseudonymizer
from consumers.evidence.app import EvidenceApp
from consumers.evidence.models import EvidenceAnswer
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


def by_requirement(response):
    assert response.status_code == 200, response.text
    EvidenceAnswer.model_validate_json(response.content)
    return {one["requirement"]: one for one in response.json()["requirements"]}


def accesses(connection):
    columns = "access_id, requester, procedure, subject, decision, reason, case_reference, evidence"
    with connection.cursor(row_factory=psycopg.rows.dict_row) as cursor:
        return cursor.execute(f"SELECT {columns} FROM yekbar.accesses ORDER BY access_id").fetchall()


GOOD = {"procedure": "benefit", "national_id": PERSON}


def own_list(caller, person=PERSON, path="/v1/me/accesses", **claims):
    said = {"national_id": person, "acr": "high", **claims}
    token = caller.issuer.token({name: value for name, value in said.items() if value is not None})
    return caller.http.get(path, headers={"authorization": f"Bearer {token}"})
