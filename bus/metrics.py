"""Metrics in Prometheus' format. A label names an agency, a record type, a step or a route: never a person.

Processes that were spawned inside `counted_together` count into files of one folder, so that any of them, and the one
that spawned them, answers for all. A process outside of it counts for itself alone.
"""

import os
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector
from prometheus_client.values import ValueClass

FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"  # the library reads it when it is imported: before the first metric
METRICS_PATH = "/metrics"
HEALTH_PATH = "/healthz"
MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

Fault = Callable[[], str | None]  # what is wrong with a process, told without anybody's data; None when nothing is


@contextmanager
def counted_together() -> Iterator[None]:
    """Lets the processes that are spawned in the block share their counts; the folder goes with the block."""
    if os.environ.get(FOLDER_VARIABLE):
        yield  # somebody outside watches us already
        return
    folder = tempfile.mkdtemp(prefix="yekbar-metrics-")
    os.environ[FOLDER_VARIABLE] = folder
    try:
        yield
    finally:
        del os.environ[FOLDER_VARIABLE]
        shutil.rmtree(folder, ignore_errors=True)


@cache
def counter(name: str, meaning: str, *labels: str) -> Counter:
    """The process's counter of a name, which ends in its unit; `_total` is added."""
    return Counter(name, meaning, labels, registry=_own())


@cache
def histogram(name: str, meaning: str, *labels: str, buckets: Sequence[float] = SECONDS) -> Histogram:
    """The process's histogram of a name, which ends in its unit."""
    return Histogram(name, meaning, labels, registry=_own(), buckets=buckets)


def exposition(*collectors: Collector) -> bytes:
    """All that was counted, in Prometheus' text format, and what the collectors say at this moment."""
    registry = CollectorRegistry()
    if os.environ.get(FOLDER_VARIABLE):
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]  # the library leaves it untyped
    if not getattr(ValueClass, "_multiprocess", False):  # what this process counts is in no file
        registry.register(_own())
    for collector in collectors:
        registry.register(collector)
    return generate_latest(registry)


@contextmanager
def served(port: int, *collectors: Collector, fault: Fault = lambda: None, host: str = "127.0.0.1") -> Iterator[int]:
    """Serves `/metrics` and `/healthz` in a thread, for a process that answers no HTTP otherwise; yields the port."""

    class Door(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, media_type, body = answer(self.path, *collectors, fault=fault)
            self.send_response(status)
            self.send_header("Content-Type", media_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
            """A scrape is no event."""

    with ThreadingHTTPServer((host, port), Door) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, name="metrics", daemon=True)
        thread.start()
        try:
            yield int(server.server_address[1])
        finally:
            server.shutdown()
            thread.join()


def answer(path: str, *collectors: Collector, fault: Fault) -> tuple[int, str, bytes]:
    """The status, media type and body for one of the two paths."""
    if path == METRICS_PATH:
        return 200, MEDIA_TYPE, exposition(*collectors)
    if path == HEALTH_PATH:
        what = fault()
        return (200, "text/plain", b"ok\n") if what is None else (503, "text/plain", what.encode() + b"\n")
    return 404, "text/plain", b"there are /metrics and /healthz\n"


@cache
def _own() -> CollectorRegistry:
    return CollectorRegistry()
