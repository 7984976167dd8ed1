import os
import ssl
import subprocess
import sys
import threading
import time
from contextlib import contextmanager

import httpx2
import pytest
from certificates import Authority
from confluent_kafka import KafkaException

from bus.client_file import CLIENT_FILE, write_client_file
from bus.http.server import listening, server
from bus.http.settings import TokenSettings
from bus.http.tls import TlsSettings, thumbprint
from bus.kafka import admin, kafka_connection
from bus.settings import Mode
from bus.subject import Pseudonymizer
from consumers.evidence.app import EvidenceApp
from deploy.development_issuer import DevelopmentIssuer
from deploy.local.broker_settings import PLATFORM, SCRAM
from deploy.local.kafka import Broker, BrokerPorts
from deploy.local.process import free_port
from registry.catalogue import load_catalogue

PERSON = "0012345679"


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path)


@pytest.fixture
def issuer(tmp_path):
    return DevelopmentIssuer(folder=tmp_path / "issuer", mode=Mode.DEVELOPMENT)


@contextmanager
def door(authority, issuer, database_url):
    """The evidence API with TLS and certificates of callers."""
    own = authority.issue("door")
    tls = TlsSettings(YEKBAR_TLS_CERTIFICATE=own.certificate, YEKBAR_TLS_KEY=own.key, YEKBAR_TLS_CLIENT_CA=authority.ca)
    app = EvidenceApp(
        catalogue=load_catalogue(None),
        pseudonymizer=Pseudonymizer(b"k" * 32, "iran"),
        settings=TokenSettings(**issuer.environment(), YEKBAR_TLS_CLIENT_CA=str(authority.ca)),
        database_url=database_url,
    )
    running = server(app, tls=tls)
    with listening("127.0.0.1", 0) as taken:
        thread = threading.Thread(target=running.run, kwargs={"sockets": [taken]}, daemon=True)
        thread.start()
        yield f"https://127.0.0.1:{taken.getsockname()[1]}"
        running.should_exit = True
        thread.join(20)


def ask(url, authority, token, issued=None):
    """The status and the words of an answer to an agency's question, asked with a certificate or without."""
    context = ssl.create_default_context(cafile=authority.ca)
    if issued is not None:
        context.load_cert_chain(issued.certificate, issued.key)
    with httpx2.Client(verify=context) as client:
        answer = client.post(
            f"{url}/v1/evidence", json={"procedure": "x"}, headers={"authorization": f"Bearer {token}"}
        )
    return answer.status_code, answer.json().get("detail")


def test_a_token_that_is_stolen_opens_nothing_without_its_certificate(authority, issuer, database_url, tmp_path):
    ours, theirs = authority.issue("ours"), authority.issue("theirs")
    stranger = Authority(tmp_path, "a stranger").issue("strange")
    said = {"sub": "welfare", "agency": "welfare"}
    bound = issuer.token({**said, "cnf": {"x5t#S256": thumbprint(ours.der)}})
    loose = issuer.token(said)

    with door(authority, issuer, database_url) as url:
        good = ask(url, authority, bound, ours)
        stolen = [ask(url, authority, bound, issued) for issued in (theirs, None)]
        unbound = ask(url, authority, loose, ours)
        with pytest.raises(httpx2.HTTPError):
            ask(url, authority, bound, stranger)
        with pytest.raises(httpx2.HTTPError):
            httpx2.get(url.replace("https", "http"))

    assert good[0] not in (401, 403)  # it is heard; what it asks for is not
    assert stolen == [(401, "wrong-certificate")] * 2
    assert unbound == (401, "not-bound-to-a-certificate")


def test_the_registry_serves_with_tls(authority, database_url):
    own, port = authority.issue("registry"), free_port()
    environment = {
        **os.environ,
        "DATABASE_URL": database_url,
        "YEKBAR_TLS_CERTIFICATE": str(own.certificate),
        "YEKBAR_TLS_KEY": str(own.key),
    }
    command = [sys.executable, "-m", "deploy.cli.main", "registry", "--port", str(port)]
    running = subprocess.Popen(command, env=environment)
    try:
        context = ssl.create_default_context(cafile=authority.ca)
        deadline = time.monotonic() + 60
        while True:
            try:
                subjects = httpx2.get(f"https://127.0.0.1:{port}/subjects", verify=context).json()
                break
            except httpx2.TransportError:
                assert time.monotonic() < deadline
                time.sleep(0.1)
    finally:
        running.terminate()
        running.wait(30)

    assert subjects == []


@pytest.mark.parametrize("command", ["serve", "gateway", "registry"])
def test_production_serves_nothing_in_clear_to_other_machines(command, tmp_path):
    place = tmp_path / "client.properties"
    write_client_file(place, {"security.protocol": "SASL_SSL", "sasl.username": "a", "sasl.password": "b"})
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("YEKBAR_")},
        "KAFKA_BOOTSTRAP": "127.0.0.1:1",
        "DATABASE_URL": "postgresql://127.0.0.1:1/x",
        "SCHEMA_REGISTRY_URL": "http://127.0.0.1:1",
        "YEKBAR_DOMAIN_KEY": "00" * 32,
        CLIENT_FILE: str(place),
    }
    words = [sys.executable, "-m", "deploy.cli.main", command, "--host", "0.0.0.0", "--port", str(free_port())]

    done = subprocess.run(words, env=environment, capture_output=True, encoding="utf-8", timeout=60, check=False)

    assert done.returncode == 2
    assert "YEKBAR_TLS_CERTIFICATE" in done.stderr


class EncryptedBroker(Broker):
    """A broker whose clients come with SASL over TLS."""

    issued = None

    def _write_settings(self):
        super()._write_settings()
        place = self._folder / "server.properties"
        store = self._folder / "store.pem"
        store.write_bytes(self.issued.key.read_bytes() + self.issued.certificate.read_bytes())
        said = place.read_text().replace("CLIENT:SASL_PLAINTEXT", "CLIENT:SASL_SSL")
        said += "ssl.keystore.type=PEM\nssl.keystore.location=store.pem\n"
        said += f"ssl.truststore.type=PEM\nssl.truststore.location={self.ca}\n"
        place.write_text(said)

    def _answers(self):
        try:
            return bool(admin(self.connection(self.ca)).list_topics(timeout=2).cluster_id)
        except KafkaException:
            return False

    def connection(self, authority):
        place = self._folder / f"{authority.stem}.properties"
        properties = dict(line.split("=", 1) for line in self.client_file.read_text().splitlines())
        said = {**properties, "security.protocol": "SASL_SSL", "ssl.ca.location": str(authority)}
        place.unlink(missing_ok=True)
        write_client_file(place, said)
        assert (said["sasl.username"], said["sasl.mechanism"]) == (PLATFORM, SCRAM)
        return {**kafka_connection(self.bootstrap, {CLIENT_FILE: str(place)}), "log_level": 0}


@pytest.mark.local_stack
def test_clients_enter_a_broker_over_tls_and_trust_no_other_authority(authority, tmp_path):
    broker = EncryptedBroker(tmp_path / "kafka", BrokerPorts(client=free_port(), controller=free_port()))
    broker.issued, broker.ca = authority.issue("broker"), authority.ca
    other = Authority(tmp_path, "another").ca
    broker.start()
    try:
        assert admin(broker.connection(authority.ca)).list_topics(timeout=30).brokers
        with pytest.raises(KafkaException):
            admin(broker.connection(other)).list_topics(timeout=3)
    finally:
        broker.kill()
