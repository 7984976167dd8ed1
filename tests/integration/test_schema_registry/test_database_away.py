"""A database that is away is told as such, and the service works again with the first call after it is back."""

import shutil
import tempfile
from pathlib import Path

import psycopg
import pytest
from confluent_kafka.schema_registry import SchemaRegistryClient

from deploy.local.postgres import Postgres
from deploy.local.process import free_port
from registry.client import ConfluentSchemaRegistry
from registry.errors import RegistryUnavailableError


@pytest.fixture
def postgres():
    """A server of our own, which tests may kill; not started."""
    folder = Path(tempfile.mkdtemp(prefix="yekbar-test-"))
    folder.chmod(0o711)
    server = Postgres(folder / "postgres", free_port())
    yield server
    server.stop()
    shutil.rmtree(folder)


def test_the_service_outlives_its_database(postgres, serve, schema):
    postgres.start()
    with serve(postgres.url()) as service:
        known = service.register("deeds", schema(("number", "int")))
        unread = service.register("deeds", schema(("number", "long")))
        assert service.ask("GET", f"/schemas/ids/{known}")[0] == 200

        postgres.kill()

        assert service.ask("GET", "/") == (200, {})
        assert service.ask("GET", f"/schemas/ids/{known}")[0] == 200  # a schema never changes
        assert service.error("GET", f"/schemas/ids/{unread + 1}") == (503, 50001)
        assert service.error("GET", "/subjects") == (503, 50001)
        body = {"schema": schema(("number", "long"), ("area", "int", 0))}
        status, facts = service.ask("POST", "/subjects/deeds/versions", body)
        assert (status, facts["error_code"]) == (503, 50001)
        assert "the database does not answer" in facts["message"]
        assert postgres.password not in facts["message"]
        registry = ConfluentSchemaRegistry(service.url)
        with pytest.raises(RegistryUnavailableError, match="503"):
            registry.register("other", {"type": "string"})

        postgres.start()

        assert service.ask("GET", "/subjects") == (200, ["deeds"])
        assert service.register("deeds", **body) == unread + 1
        assert registry.register("other", {"type": "string"}) == unread + 2
        registry.close()


def test_the_service_starts_before_its_database(postgres, serve, schema):
    with serve(f"postgresql://yekbar:wrong@127.0.0.1:{free_port()}/postgres") as service:
        assert service.ask("GET", "/") == (200, {})
        assert service.error("GET", "/subjects") == (503, 50001)

    postgres.start()
    postgres.stop()
    with serve(postgres.url()) as service:
        assert service.error("GET", "/config") == (503, 50001)
        postgres.start()

        assert service.register("deeds", schema(("number", "int"))) == 1


def test_connections_that_the_server_closed_are_replaced_unseen(service, database_url, schema):
    service.register("deeds", schema(("number", "int")))
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )

    with SchemaRegistryClient({"url": service.url, "max.retries": 0}) as client:
        assert client.get_subjects() == ["deeds"]


def test_a_call_waits_for_other_writers_and_gives_up_in_time(service, database_url, schema, monkeypatch):
    monkeypatch.setattr("registry.service.connections.STATEMENT_TIMEOUT_MS", 200)
    with psycopg.connect(database_url) as other:
        other.execute("SELECT pg_advisory_xact_lock(%s)", (0x59656B62,))

        status, facts = service.ask("POST", "/subjects/deeds/versions", {"schema": schema(("number", "int"))})

    assert (status, facts["error_code"]) == (503, 50001)
    assert "took longer than 200 ms" in facts["message"]
    assert service.register("deeds", schema(("number", "int"))) == 1
