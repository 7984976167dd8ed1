"""Tokens of a real identity provider, over TLS: agencies by client credentials, a citizen by signing in."""

import base64
import json
import ssl
import threading
from contextlib import contextmanager

import httpx2
import psycopg
import pytest
from certificates import Authority
from keycloak import AGENCY, AUDIENCE, NATIONAL_ID, Keycloak

from bus.http.server import listening, server
from bus.http.settings import read_token_settings
from bus.http.tls import TlsSettings, thumbprint
from bus.subject import Pseudonymizer
from consumers.accesses.record import create_accesses
from consumers.agreements.store import create_agreements
from consumers.evidence.app import EvidenceApp
from consumers.evidence.watch import create_persons_asked
from consumers.materializer.positions import create_positions
from consumers.views import create_views
from registry.catalogue import load_catalogue

pytestmark = pytest.mark.on_demand


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def provider(tmp_path_factory, authority):
    running = Keycloak(tmp_path_factory.mktemp("keycloak"), authority)
    with pytest.MonkeyPatch.context() as changing:
        changing.setenv("SSL_CERT_FILE", str(authority.ca))  # by which the evidence API trusts its issuer
        try:
            running.start()
            yield running
        finally:
            running.stop()


@contextmanager
def door(provider, authority, database_url, **settings):
    """The evidence API, which believes the provider's tokens."""
    catalogue = load_catalogue(None)
    with psycopg.connect(database_url, autocommit=True) as connection:
        for create in (create_positions, create_accesses, create_agreements, create_persons_asked):
            create(connection)
        for record_type in catalogue.record_types.values():
            create_views(connection, record_type)
    own = authority.issue("door")
    tls = TlsSettings(YEKBAR_TLS_CERTIFICATE=own.certificate, YEKBAR_TLS_KEY=own.key, YEKBAR_TLS_CLIENT_CA=authority.ca)
    believed = {
        "YEKBAR_TOKEN_JWKS": provider.jwks,
        "YEKBAR_TOKEN_ISSUER": provider.issuer,
        "YEKBAR_TOKEN_AUDIENCE": AUDIENCE,
        **settings,
    }
    app = EvidenceApp(
        catalogue=catalogue,
        pseudonymizer=Pseudonymizer(b"k" * 32, catalogue.national_id_scheme),
        settings=read_token_settings(believed),
        database_url=database_url,
    )
    running = server(app, tls=tls)
    with listening("127.0.0.1", 0) as taken:
        thread = threading.Thread(target=running.run, kwargs={"sockets": [taken]}, daemon=True)
        thread.start()
        yield f"https://127.0.0.1:{taken.getsockname()[1]}"
        running.should_exit = True
        thread.join(20)


def call(url, authority, token, path, *, issued=None, **asked):
    context = ssl.create_default_context(cafile=authority.ca)
    if issued is not None:
        context.load_cert_chain(issued.certificate, issued.key)
    with httpx2.Client(verify=context, timeout=60) as client:
        headers = {"authorization": f"Bearer {token}"}
        if asked:
            return client.post(f"{url}{path}", headers=headers, **asked)
        return client.get(f"{url}{path}", headers=headers)


def ask(url, authority, token, *, issued=None):
    """An agency asks about the citizen."""
    asked = {"procedure": "unemployment-benefit", "national_id": NATIONAL_ID, "case_reference": "1405-17"}
    return call(url, authority, token, "/v1/evidence", issued=issued, json=asked)


def claims(token):
    payload = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))


def test_an_agency_asks_by_its_client_credentials_and_the_citizen_signs_in_and_sees_it(
    provider, authority, database_url
):
    with door(provider, authority, database_url) as url:
        asked = ask(url, authority, provider.agency_token())
        signed_in = provider.citizen_token("portal")
        listed = call(url, authority, signed_in, "/v1/me/accesses")
        weak = call(url, authority, provider.citizen_token("weak-portal"), "/v1/me/accesses")
        crossed = [
            ask(url, authority, signed_in),
            call(url, authority, provider.agency_token(), "/v1/me/accesses"),
        ]

    assert asked.status_code == 200, asked.text
    assert claims(signed_in)["acr"] == "substantial"
    assert listed.status_code == 200, listed.text
    assert [one["requester"] for one in listed.json()["accesses"]] == [AGENCY]
    assert (weak.status_code, weak.json()["detail"]) == (403, "assurance-too-low")
    assert "insufficient_user_authentication" in weak.headers["www-authenticate"]
    assert [one.status_code for one in crossed] == [403, 403]


def test_a_bound_token_of_the_provider_opens_nothing_over_another_certificate(provider, authority, database_url):
    ours, theirs = authority.issue("ours"), authority.issue("theirs")
    bound = provider.agency_token(f"{AGENCY}-bound", ours)

    with door(provider, authority, database_url, YEKBAR_TLS_CLIENT_CA=str(authority.ca)) as url:
        good = ask(url, authority, bound, issued=ours)
        stolen = ask(url, authority, bound, issued=theirs)
        loose = ask(url, authority, provider.agency_token(), issued=ours)

    assert claims(bound)["cnf"] == {"x5t#S256": thumbprint(ours.der)}
    assert good.status_code == 200, good.text
    assert (stolen.status_code, stolen.json()["detail"]) == (401, "wrong-certificate")
    assert (loose.status_code, loose.json()["detail"]) == (401, "not-bound-to-a-certificate")


def test_the_provider_changes_its_key_and_nobody_is_turned_away(provider, authority, database_url, monkeypatch):
    monkeypatch.setattr("bus.http.tokens.RETRY_S", 0)  # each unknown key makes it look; else five seconds go by first
    with door(provider, authority, database_url) as url:
        old = provider.agency_token()
        before = ask(url, authority, old)
        provider.rotate_keys()
        new = provider.agency_token()
        after = [ask(url, authority, token) for token in (new, old)]

    def key(token):
        header = token.split(".")[0]
        return json.loads(base64.urlsafe_b64decode(header + "=" * (-len(header) % 4)))["kid"]

    assert key(old) != key(new)
    assert before.status_code == 200
    assert [one.status_code for one in after] == [200, 200]
