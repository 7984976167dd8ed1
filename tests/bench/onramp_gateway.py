"""How fast the gateway takes changes in batches of a hundred, and how long a caller waits for the broker's word.

`python tests/bench/onramp_gateway.py` starts a stack of its own; `measure` takes one that runs.
"""

import asyncio
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx2
import psutil
from confluent_kafka import KafkaException, TopicPartition

sys.path.insert(0, str(Path(__file__).parent))

from load import national_id

from bus.kafka import consumer, kafka_connection
from bus.topics import records_topic
from deploy.local.process import free_port
from deploy.local.registry import RegistryService
from deploy.local.stack import Endpoints, Stack
from deploy.provision import create_topics
from registry.catalogue import load_catalogue
from registry.contracts import RecordTypeId

YEKBAR = [sys.executable, "-m", "deploy.cli.main"]
RECORD_TYPE = "post.registered-address"
AGENCY = "post"
CHANGES = 60_000
CHANGES_A_REQUEST = 100
CALLERS = 8  # each sends its next request when it has the answer to the one before
GOAL_EVENTS_S = 5_000
START_TIMEOUT_S = 30


def measure(folder: Path, endpoints: Endpoints, registry_url: str, *, changes: int = CHANGES) -> dict[str, Any]:
    """Posts changes, and then the same again: events a second of both, and the milliseconds of a request."""
    environment = {
        **os.environ,
        "KAFKA_BOOTSTRAP": endpoints.kafka_bootstrap,
        "KAFKA_CLIENT_FILE": endpoints.kafka_client_file,
        "DATABASE_URL": endpoints.database_url,
        "SCHEMA_REGISTRY_URL": registry_url,
        "YEKBAR_DOMAIN_KEY": endpoints.domain_key,
        "YEKBAR_DATA": str(folder / "data"),
        "YEKBAR_MODE": "development",
    }
    connection = kafka_connection(endpoints.kafka_bootstrap, environment)
    create_topics(connection, [load_catalogue(None).record_types[RecordTypeId(RECORD_TYPE)]])
    before = _logged(connection)
    bodies = [_body(start) for start in range(0, changes, CHANGES_A_REQUEST)]
    with _gateway(environment) as (url, process):
        token = subprocess.run([*YEKBAR, "token", AGENCY], env=environment, stdout=subprocess.PIPE, check=True).stdout
        headers = {"authorization": f"Bearer {token.decode().strip()}", "content-type": "application/json"}
        asyncio.run(_posted(url, headers, [_body(changes)]))  # the first request opens the publisher
        before_s = _cpu_s(process)
        first_s, waits, published = asyncio.run(_posted(url, headers, bodies))
        spent_s = _cpu_s(process) - before_s
        again_s, _, repeated = asyncio.run(_posted(url, headers, bodies))
    is_correct = _logged(connection) - before == changes + CHANGES_A_REQUEST
    return {
        "work": f"post changes in batches of {CHANGES_A_REQUEST}",
        "events": changes,
        "events_per_s": round(changes / first_s),
        "repeats_per_s": round(changes / again_s),
        "request_p50_ms": round(statistics.median(waits) * 1e3, 1),
        "request_p99_ms": round(statistics.quantiles(waits, n=100)[98] * 1e3, 1),
        "cpu_us_per_event": round(spent_s / changes * 1e6, 1),
        "goal_events_per_s": GOAL_EVENTS_S,
        "correct": is_correct and published == {"published": changes} and repeated == {"repeated": changes},
    }


@contextmanager
def _gateway(environment: Mapping[str, str]) -> Iterator[tuple[str, psutil.Process]]:
    """The command, which listens: its address and its process."""
    port = free_port()
    running = subprocess.Popen([*YEKBAR, "gateway", "--port", str(port)], env=environment, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + START_TIMEOUT_S
        while True:
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            assert time.monotonic() < deadline, "the gateway does not listen"
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}", psutil.Process(running.pid)
    finally:
        running.terminate()
        running.wait()


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


async def _posted(
    url: str, headers: Mapping[str, str], bodies: list[bytes]
) -> tuple[float, list[float], dict[str, int]]:
    """Seconds for all, seconds of each request, and how many changes got which status."""
    waiting = iter(bodies)
    waits: list[float] = []
    statuses: dict[str, int] = {}

    async def calling(client: httpx2.AsyncClient) -> None:
        for body in waiting:
            began = time.perf_counter()
            answer = await client.post(f"/v1/records/{RECORD_TYPE}", content=body)
            waits.append(time.perf_counter() - began)
            assert answer.status_code == 200, answer.text
            for one in answer.json()["results"]:
                statuses[one["status"]] = statuses.get(one["status"], 0) + 1

    async with httpx2.AsyncClient(base_url=url, headers=dict(headers), timeout=30) as client:
        began = time.perf_counter()
        await asyncio.gather(*(calling(client) for _ in range(CALLERS)))
        return time.perf_counter() - began, waits, statuses


def _body(start: int) -> bytes:
    changes = [
        {
            "event_id": str(uuid4()),
            "national_id": national_id(number),
            "change_kind": "created",
            "effective_from": "2026-01-01T00:00:00+03:30",
            "recorded_at": "2026-01-01T08:00:00+03:30",
            "body": {
                "postal_code": str(1_000_000_000 + number),
                "province": "تهران",
                "city": "ری",
                "street": "خیابان فدائیان اسلام، پلاک ۱۲",
            },
        }
        for number in range(start, start + CHANGES_A_REQUEST)
    ]
    return json.dumps(changes).encode()


def _logged(connection: Any) -> int:
    """How many events the topic holds; one that was just made has its leaders a moment later."""
    topic = records_topic(RecordTypeId(RECORD_TYPE))
    deadline = time.monotonic() + START_TIMEOUT_S
    with closing(consumer(connection, group="bench")) as reader:
        while True:
            try:
                partitions = reader.list_topics(topic, timeout=30).topics[topic].partitions
                places = [TopicPartition(topic, partition) for partition in partitions]
                return sum(reader.get_watermark_offsets(place, timeout=30, cached=False)[1] for place in places)
            except KafkaException:
                assert time.monotonic() < deadline, "the topic has no leaders"


def main() -> None:
    """Measures on a stack of its own and prints what it found."""
    with tempfile.TemporaryDirectory(prefix="yekbar-bench-") as name:
        folder = Path(name)
        folder.chmod(0o711)
        with Stack(folder) as stack:
            service = RegistryService(folder / "registry", free_port(), stack.endpoints.database_url)
            service.start()
            try:
                print(json.dumps(measure(folder, stack.endpoints, service.url), indent=2))
            finally:
                service.stop()


if __name__ == "__main__":
    main()
