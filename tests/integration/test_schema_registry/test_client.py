"""The registry's client: the real one and its twin in memory pass the same tests, and every failure has our name."""

import socket
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import confluent_kafka.schema_registry.error
import pytest

from deploy.local.process import free_port
from registry import client
from registry.client import ConfluentSchemaRegistry, InMemorySchemaRegistry
from registry.errors import (
    ContractError,
    IncompatibleError,
    RegistryError,
    RegistryUnavailableError,
    UnknownSchemaError,
)

DEED = {"type": "record", "name": "land.Deed", "fields": [{"name": "number", "type": "int"}]}
RESPELT = {
    "name": "Deed",
    "namespace": "land",
    "fields": [{"type": {"type": "int"}, "name": "number"}],
    "type": "record",
}
OTHER = {"type": "record", "name": "land.Deed", "fields": [{"name": "number", "type": "string"}]}


@pytest.fixture(params=["in memory", "real"])
def registry(request):
    if request.param == "in memory":
        yield InMemorySchemaRegistry()
    else:
        real = ConfluentSchemaRegistry(request.getfixturevalue("service").url)
        yield real
        real.close()


def test_a_schema_is_what_was_registered(registry):
    schema_id = registry.register("deeds", DEED)

    assert registry.schema(schema_id) == DEED
    assert registry.subject_names(schema_id) == {"deeds"}


def test_registering_again_or_in_another_spelling_gives_the_same_id(registry):
    first = registry.register("deeds", DEED)

    assert registry.register("deeds", DEED) == first
    assert registry.register("estates/املاک", RESPELT) == first
    assert registry.schema(first) == DEED
    assert registry.subject_names(first) == {"deeds", "estates/املاک"}


def test_other_schemas_have_other_ids(registry):
    assert registry.register("deeds", DEED) != registry.register("others", OTHER)


def test_an_id_that_never_was_is_unknown(registry):
    with pytest.raises(UnknownSchemaError, match="999"):
        registry.schema(999)
    with pytest.raises(UnknownSchemaError, match="999"):
        registry.subject_names(999)


@contextmanager
def asking(url):
    registry = ConfluentSchemaRegistry(url)
    try:
        yield registry
    finally:
        registry.close()


@contextmanager
def answering(status, body):
    """A server that says the same to everything."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET  # noqa: N815

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def test_a_schema_that_may_not_follow_is_told_with_the_field(service):
    with asking(service.url) as registry:
        registry.register("deeds", DEED)

        with pytest.raises(IncompatibleError, match="number: it is 'string' in the new schema"):
            registry.register("deeds", OTHER)


def test_what_is_no_schema_is_told_so(service):
    with asking(service.url) as registry, pytest.raises(ContractError, match="no Avro schema"):
        registry.register("deeds", {"type": "nothing"})


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (404, b'{"error_code":40403,"message":"x"}', UnknownSchemaError),
        (409, b'{"error_code":409,"message":"x"}', IncompatibleError),
        (409, b'{"error_code":40901,"message":"x"}', IncompatibleError),
        (422, b'{"error_code":42201,"message":"x"}', ContractError),
        (401, b'{"error_code":401,"message":"x"}', RegistryError),
        (429, b"slower", RegistryUnavailableError),
        (500, b'{"error_code":50001,"message":"x"}', RegistryUnavailableError),
        (503, b"<html>", RegistryUnavailableError),
        (200, b"<html>", RegistryError),
        (200, b"[]", RegistryError),
        (200, b"{}", RegistryError),
    ],
)
def test_every_answer_that_is_none_becomes_an_error_of_ours(status, body, error):
    with answering(status, body) as url, asking(url) as registry:
        with pytest.raises(RegistryError) as told:
            registry.schema(1)
        assert type(told.value) is error

        with pytest.raises(RegistryError) as told:
            registry.register("deeds", DEED)
        assert type(told.value) is error


def test_a_service_that_is_down_or_nowhere_is_unavailable():
    for url in (f"http://127.0.0.1:{free_port()}", "http://nowhere.invalid:8081"):
        with asking(url) as registry:
            with pytest.raises(RegistryUnavailableError, match="SCHEMA_REGISTRY_URL"):
                registry.register("deeds", DEED)
            with pytest.raises(RegistryUnavailableError, match="does not answer"):
                registry.subject_names(1)


def test_a_service_that_takes_calls_and_never_answers_is_unavailable(monkeypatch):
    monkeypatch.setattr(client, "TIMEOUT_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"

        with asking(url) as registry, pytest.raises(RegistryUnavailableError, match="ReadTimeout"):
            registry.schema(1)


def test_the_stock_client_has_no_error_that_is_not_translated():
    its_own = {
        name
        for name, kind in vars(confluent_kafka.schema_registry.error).items()
        if isinstance(kind, type) and issubclass(kind, Exception) and kind.__module__.startswith("confluent_kafka")
    }

    assert its_own == {"SchemaRegistryError", "OAuthTokenError"}
