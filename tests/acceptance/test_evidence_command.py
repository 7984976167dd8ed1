import json
import os
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import httpx2
import psycopg
import pytest

from bus.subject import Pseudonymizer
from consumers.accesses.record import create_accesses
from consumers.agreements.store import create_agreements
from consumers.evidence.watch import create_persons_asked
from consumers.materializer.positions import create_positions
from consumers.views import create_views
from deploy.local.process import free_port
from registry.catalogue import load_catalogue

PERSON = "0012345679"
YEKBAR = [sys.executable, "-m", "deploy.cli.main"]
ASK = ["evidence", "unemployment-benefit", "--case-reference", "1405-17"]
SINCE = datetime(2020, 1, 1, tzinfo=UTC)
KEY = "6b" * 32
RECORDS = {
    "civil-registry.identity": {"given_name": "زهرا", "family_name": "کریمی", "birth_date": "1990-02-03"},
    "civil-registry.life-status": {"status": "alive"},
    "labour-relations.employment": {
        "employment_number": "7",
        "employer_name": "کارگاه نان",
        "status": "ended",
        "ended_on": "2026-01-01",
        "end_reason": "redundancy",
    },
    "social-security.insurance-coverage": {"coverage_kind": "mandatory", "premium_months": 30},
    "tax-administration.tax-status": {"standing": "in_debt"},
    "welfare.household-decile": {"decile": 2},
    "post.registered-address": {"province": "فارس", "city": "شیراز", "postal_code": "7134567890"},
}


@pytest.fixture
def environment(database_url, tmp_path):
    port = free_port()
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("YEKBAR_")},
        "KAFKA_BOOTSTRAP": "127.0.0.1:1",
        "SCHEMA_REGISTRY_URL": "http://127.0.0.1:1",
        "DATABASE_URL": database_url,
        "YEKBAR_DOMAIN_KEY": KEY,
        "YEKBAR_MODE": "development",
        "YEKBAR_DATA": str(tmp_path),
        "YEKBAR_EVIDENCE_URL": f"http://127.0.0.1:{port}",
        "COLUMNS": "160",
    }


@pytest.fixture
def views(database_url):
    """The views of the reference profile, with one person's records."""
    subject = Pseudonymizer(bytes.fromhex(KEY), "iran").subject(PERSON)
    with psycopg.connect(database_url, autocommit=True) as connection:
        create_positions(connection)
        create_accesses(connection)
        create_agreements(connection)
        create_persons_asked(connection)
        for record_type in load_catalogue(None).record_types.values():
            create_views(connection, record_type)
            connection.execute(
                "INSERT INTO yekbar.positions VALUES (%s, 0, '', '', 1, 1, now(), now())", (record_type.id,)
            )
            body = RECORDS.get(record_type.id)
            if body is not None:
                shared = [
                    subject,
                    body.get(record_type.record_key_field, ""),
                    uuid4(),
                    0,
                    SINCE,
                    SINCE,
                    SINCE,
                    0,
                    0,
                    [],
                ]
                names = "subject, record_key, event_id, change_kind, effective_from, recorded_at, known_at, partition,"
                marks = ", ".join(["%s"] * (len(shared) + len(body)))
                connection.execute(
                    f'INSERT INTO "{record_type.id}".facts ({names} position, under_investigation, {", ".join(body)})'
                    f" VALUES ({marks})",
                    [*shared, *body.values()],
                )
        yield connection


@pytest.fixture
def service(environment, views, tmp_path):  # noqa: ARG001 - the views are made
    url = environment["YEKBAR_EVIDENCE_URL"]
    with (tmp_path / "serve.log").open("wb") as log:
        process = subprocess.Popen(
            [*YEKBAR, "serve", "--port", url.rpartition(":")[2]], env=environment, stdout=log, stderr=log
        )
    try:
        deadline = time.monotonic() + 30
        while not is_answering(url):
            assert process.poll() is None, Path(log.name).read_text()
            assert time.monotonic() < deadline
            time.sleep(0.1)
        yield url
    finally:
        process.terminate()
        process.wait(20)


def is_answering(url):
    try:
        return httpx2.get(f"{url}/v1/procedures").status_code == 200
    except httpx2.HTTPError:
        return False


def yekbar(environment, *words, stdin=""):
    return subprocess.run(
        [*YEKBAR, *words], env=environment, input=stdin, capture_output=True, encoding="utf-8", timeout=60
    )


@pytest.mark.usefixtures("service")
def test_a_citizens_whole_way_through_a_procedure_is_one_command(environment, views):
    done = yekbar(environment, *ASK, "-", "--json", stdin="۰۰۱۲۳۴۵۶۷۹\n")

    assert done.returncode == 0, done.stderr + done.stdout
    answer = json.loads(done.stdout)
    found = {one["requirement"]: one for one in answer["requirements"]}
    assert {one["status"] for one in found.values()} == {"met"}
    assert found["identity"]["evidence"][0]["claims"]["full_name"] == "زهرا کریمی"
    assert [piece["evidence_type"] for piece in found["income"]["evidence"]] == ["lower-income"]
    recorded = views.execute("SELECT access_id, requester FROM yekbar.accesses").fetchall()
    assert [(str(access_id), requester) for access_id, requester in recorded] == [
        (answer["access_id"], "labour-relations")
    ]


@pytest.mark.usefixtures("service")
def test_the_table_shows_each_requirement_with_its_claims_and_source(environment):
    done = yekbar(environment, *ASK, PERSON)

    assert done.returncode == 0, done.stderr
    assert "full_name: زهرا کریمی" in done.stdout
    assert "civil-registry" in done.stdout
    assert "every requirement is met; access record" in done.stdout


@pytest.mark.usefixtures("service")
def test_who_has_no_agreement_sees_why_and_the_exit_code_says_so(environment):
    done = yekbar(environment, *ASK, PERSON, "--as", "post")

    assert done.returncode == 1
    assert "no-agreement" in done.stdout
    assert "زهرا" not in done.stdout


@pytest.mark.usefixtures("service")
@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["evidence", "unemployment-benefit", "0012345678"], "The national id is not valid."),
        (["evidence", "none", PERSON], "the catalogue has no procedure 'none'"),
        (["token", "none"], "the catalogue has no agency 'none'"),
        (["token"], "a token speaks for an agency or for a citizen"),
    ],
)
def test_a_wrong_word_is_one_clear_message_without_the_id(environment, words, told):
    done = yekbar(environment, *words)

    assert done.returncode not in (0, 1)
    assert told in done.stderr
    assert "Traceback" not in done.stderr
    assert "0012345" not in done.stdout + done.stderr


def test_production_refuses_the_development_issuer(environment):
    production = {**environment, "YEKBAR_MODE": "production"}

    served, token = yekbar(production, "serve"), yekbar(production, "token", "post")

    for done in (served, token):
        assert done.returncode == 2
        assert "refuses to work in production mode" in done.stderr


def test_without_a_service_the_command_says_how_to_start_one(environment):
    done = yekbar(environment, *ASK, PERSON)

    assert done.returncode == 75
    assert "yekbar serve" in done.stderr


def test_the_service_counts_its_requests_by_route_and_says_that_it_is_well(service):
    httpx2.get(f"{service}/v1/me/accesses")

    metrics = httpx2.get(f"{service}/metrics").text
    health = httpx2.get(f"{service}/healthz")

    assert 'yekbar_http_requests_total{door="evidence",route="/v1/me/accesses",status="401"} 1.0' in metrics
    assert (health.status_code, health.text) == (200, "ok\n")
