import asyncio
import os
import subprocess
import sys
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from bus.http.observed import Observed
from bus.metrics import FOLDER_VARIABLE, answer, counted_together, counter, exposition, histogram, served

COUNTING = "from bus.metrics import counter; counter('test_things', 'Things.', 'kind').labels('a').inc(3)"


def test_what_is_counted_is_told_in_the_format_of_prometheus():
    counter("test_events", "Events.", "kind").labels("new").inc(2)
    histogram("test_size_events", "Sizes.", buckets=(1, 10)).observe(7)

    told = exposition().decode()

    assert 'test_events_total{kind="new"} 2.0' in told
    assert 'test_size_events_bucket{le="10.0"} 1.0' in told


def test_one_name_is_one_counter_however_often_it_is_asked_for():
    assert counter("test_same", "Same.", "kind") is counter("test_same", "Same.", "kind")


def test_processes_that_are_spawned_together_are_counted_together():
    with counted_together():
        for _ in range(2):
            subprocess.run([sys.executable, "-c", COUNTING], check=True)
        told = exposition().decode()

    assert 'test_things_total{kind="a"} 6.0' in told
    assert FOLDER_VARIABLE not in os.environ


def test_a_process_that_counted_before_others_were_spawned_is_counted_with_them():
    with counted_together():
        counter("test_early", "Early.").inc()
        subprocess.run([sys.executable, "-c", COUNTING], check=True)
        told = exposition().decode()

    assert "test_early_total 1.0" in told
    assert 'test_things_total{kind="a"} 3.0' in told


def test_a_process_serves_its_metrics_and_says_that_it_is_well():
    counter("test_served", "Served.").inc()

    with served(0) as port:
        with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as told:
            metrics = told.read()
        with urlopen(f"http://127.0.0.1:{port}/healthz", timeout=10) as told:
            health = told.read()

    assert b"test_served_total 1.0" in metrics
    assert health == b"ok\n"


def test_a_process_that_is_ill_says_why_with_503():
    with (
        served(0, fault=lambda: "a worker has ended") as port,
        pytest.raises(HTTPError) as refused,
        urlopen(f"http://127.0.0.1:{port}/healthz", timeout=10),
    ):
        pass

    with refused.value as told:
        assert (told.code, told.read()) == (503, b"a worker has ended\n")


def test_any_other_path_is_not_found():
    assert answer("/else", fault=lambda: None)[0] == 404


def ask(app, path):
    """The status and body that an ASGI application answers with."""
    said = []

    async def send(message):
        said.append(message)

    async def receive():
        return {"type": "http.request", "body": b""}

    asyncio.run(app({"type": "http", "method": "GET", "path": path}, receive, send))
    return said[0]["status"], said[1]["body"]


async def teapot(_scope, _receive, send):
    await send({"type": "http.response.start", "status": 418, "headers": []})
    await send({"type": "http.response.body", "body": b"short and stout"})


def test_a_door_counts_its_requests_by_route_and_never_by_a_strangers_path():
    door = Observed(teapot, door="test", routes=("/v1/records/", "/v1/evidence"))

    asked = [ask(door, path) for path in ("/v1/evidence", "/v1/records/a.b", "/0012345678", "/v1/evidence/0012345678")]
    status, told = ask(door, "/metrics")

    assert asked == [(418, b"short and stout")] * 4
    assert status == 200
    assert b'yekbar_http_requests_total{door="test",route="/v1/evidence",status="418"} 1.0' in told
    assert b'yekbar_http_requests_total{door="test",route="/v1/records/",status="418"} 1.0' in told
    assert b'yekbar_http_requests_total{door="test",route="other",status="418"} 2.0' in told
    assert b'yekbar_http_request_duration_seconds_count{door="test",route="other"} 2.0' in told
    assert b"0012345678" not in told


def test_a_door_says_whether_it_is_well():
    ill = Observed(teapot, door="test", routes=(), fault=lambda: "no database")

    assert ask(ill, "/healthz") == (503, b"no database\n")
    assert ask(Observed(teapot, door="test", routes=()), "/healthz") == (200, b"ok\n")
