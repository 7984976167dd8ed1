import asyncio
import json
import threading
from contextlib import contextmanager
from urllib.parse import quote

import pytest
from httpx2 import Client

from deploy.local.process import free_port
from registry.service.server import serve_until

READY_TIMEOUT_S = 30


def record(*fields, name="Deed", **more):
    """The text of a record schema; a field is a name and its type, then maybe its default."""
    listed = [dict(zip(("name", "type", "default"), field, strict=False)) for field in fields]
    return json.dumps({"type": "record", "name": name, "fields": listed, **more})


class Service:
    """A running registry, asked by plain HTTP."""

    def __init__(self, url):
        self.url = url
        self.client = Client(base_url=url, timeout=30)

    def ask(self, method, path, body=None, **headers):
        """The status and the parsed answer."""
        content = json.dumps(body) if body is not None else None
        sent = {"content-type": "application/vnd.schemaregistry.v1+json"} if body is not None else {}
        answer = self.client.request(method, path, content=content, headers={**sent, **headers})
        return answer.status_code, json.loads(answer.content)

    def error(self, method, path, body=None):
        """The status and the error code; a message is there."""
        status, facts = self.ask(method, path, body)
        assert set(facts) == {"error_code", "message"}
        assert facts["message"]
        return status, facts["error_code"]

    def register(self, subject, schema, **more):
        status, facts = self.ask("POST", f"{self.place(subject)}/versions", {"schema": schema, **more})
        assert status == 200, facts
        return facts["id"]

    def delete(self, subject, version=None, *, permanent=False):
        below = "" if version is None else f"/versions/{version}"
        return self.ask("DELETE", f"{self.place(subject)}{below}{'?permanent=true' if permanent else ''}")

    def erase(self, subject):
        """Deletes a subject name for ever."""
        assert self.delete(subject)[0] == 200
        assert self.delete(subject, permanent=True)[0] == 200

    @staticmethod
    def place(subject):
        return f"/subjects/{quote(subject, safe='')}"


@contextmanager
def running_service(database_url):
    """A real server with its own event loop in a thread, on a free port."""
    port, ready, handle = free_port(), threading.Event(), {}

    def on_ready(server):
        handle.update(server=server)
        ready.set()

    thread = threading.Thread(
        target=lambda: asyncio.run(serve_until(database_url, host="127.0.0.1", port=port, on_ready=on_ready)),
        daemon=True,
    )
    thread.start()
    assert ready.wait(READY_TIMEOUT_S)
    service = Service(f"http://127.0.0.1:{port}")
    try:
        yield service
    finally:
        service.client.close()
        handle["server"].should_exit = True
        thread.join(READY_TIMEOUT_S)
        assert not thread.is_alive()


@pytest.fixture
def schema():
    """Makes schemas."""
    return record


@pytest.fixture
def serve():
    """Starts further services."""
    return running_service


@pytest.fixture
def service(database_url):
    with running_service(database_url) as running:
        yield running
