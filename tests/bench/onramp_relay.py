"""How fast an outbox is drained, and how soon a committed change is acknowledged: `python tests/bench/onramp_relay.py`.

`measure` is a part of the on-ramps' measurement; run alone, it starts a stack of its own.
"""

import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import psycopg

sys.path.insert(0, str(Path(__file__).parent))

from load import BENCH_TYPE, national_id

from bus.kafka import kafka_connection
from bus.subject import Pseudonymizer
from deploy.local.stack import Endpoints, Stack
from deploy.provision import create_topics
from producers.outbox import OutboxRelay
from producers.outbox_journal import outbox_ddl
from producers.publisher import Publisher
from registry.client import InMemorySchemaRegistry
from registry.contracts import RecordType

DRAINED = 200_000
CHANGES_A_TRANSACTION = 20
PACE_EVENTS_S = 500
PACED = 5_000
PARTITIONS = 4
FILL = """
INSERT INTO outbox.changes (record_type, national_id, effective_from, body)
SELECT %(record_type)s, person, '2026-01-01Z', %(body)s::jsonb FROM unnest(%(persons)s::text[]) AS person
"""
# The application: a process of its own, one change a transaction, at an even pace; it prints ids and commit times.
APPLICATION = """
import json, sys, time, psycopg
database_url, record_type, person, body, pace, count = sys.argv[1:]
statement = ("INSERT INTO outbox.changes (record_type, national_id, effective_from, body)"
             " VALUES (%s, %s, now(), %s::jsonb) RETURNING event_id")
told = {}
with psycopg.connect(database_url, autocommit=True) as connection:
    began = time.time()
    for number in range(int(count)):
        time.sleep(max(0, began + number / float(pace) - time.time()))
        (event_id,) = connection.execute(statement, (record_type, person, body), prepare=True).fetchone()
        told[str(event_id)] = time.time()
print(json.dumps(told))
"""
BODY = {
    "employer_name": "کارگاه ۱",
    "occupation_code": "1234",
    "contract_kind": "permanent",
    "is_full_time": True,
    "wage_rials": 10_000_000,
    "hours": 44.0,
    "branch": 7,
    "signed_at": "2026-01-01T00:00:00Z",
}


class Relayed:
    """A relay in a thread, and when it heard of each event's acknowledgement."""

    def __init__(self, endpoints: Endpoints, database_url: str, record_type: RecordType) -> None:
        self.acknowledged: dict[UUID, float] = {}
        self._must_stop = threading.Event()

        def open_publisher(one: RecordType, source: str, journal: Any) -> Publisher:
            return Publisher(
                one,
                source=source,
                kafka=kafka_connection(endpoints.kafka_bootstrap),
                registry=InMemorySchemaRegistry(),
                pseudonymizer=Pseudonymizer(bytes.fromhex(endpoints.domain_key), "iran"),
                journal=journal,
                on_delivered=self._take,
            )

        relay = OutboxRelay(
            database_url,
            schema="outbox",
            name="outbox",
            record_types={str(record_type.id): record_type},
            open_publisher=open_publisher,
        )
        self._thread = threading.Thread(target=relay.run, args=(self._must_stop,))
        self._thread.start()

    def _take(self, event_ids: Sequence[UUID]) -> None:
        self.acknowledged.update(dict.fromkeys(event_ids, time.time()))

    def wait_for(self, count: int, *, deadline_s: float = 120) -> float:
        """When the last of so many events was acknowledged."""
        until = time.monotonic() + deadline_s
        while len(self.acknowledged) < count:
            assert time.monotonic() < until, f"{len(self.acknowledged)} of {count} events were acknowledged"
            time.sleep(0.01)
        return max(self.acknowledged.values())

    def stop(self) -> None:
        self._must_stop.set()
        self._thread.join()


def measure(endpoints: Endpoints) -> list[dict[str, Any]]:
    """The lines that the relay adds to the results."""
    record_type = replace(BENCH_TYPE, id=f"bench-agency.relay-{uuid4().hex[:8]}")
    create_topics(kafka_connection(endpoints.kafka_bootstrap), [record_type], partitions=PARTITIONS)
    with _agency(endpoints) as database_url:
        _fill(database_url, record_type)
        began = time.time()
        drain = Relayed(endpoints, database_url, record_type)
        try:
            seconds = drain.wait_for(DRAINED) - began
            lags = _paced(drain, database_url, record_type)
        finally:
            drain.stop()
        is_correct = len(drain.acknowledged) == DRAINED + PACED and _left(database_url) == 0
    return [
        _line("drain an outbox", "events/s", DRAINED / seconds, events=DRAINED, correct=is_correct),
        *(
            _line(f"commit to acknowledged at {PACE_EVENTS_S}/s, {name}", "ms", of(lags) * 1e3, events=PACED)
            for name, of in _QUANTILES.items()
        ),
    ]


_QUANTILES: dict[str, Callable[[Sequence[float]], float]] = {
    "p50": statistics.median,
    "p99": lambda lags: statistics.quantiles(lags, n=100)[98],
}


def _line(work: str, unit: str, value: float, *, events: int, correct: bool = True) -> dict[str, Any]:
    return {
        "work": work,
        "system": "yekbar",
        "unit": unit,
        "median": round(value, 1),
        "runs": 1,
        "events": events,
        "correct": correct,
    }


@contextmanager
def _agency(endpoints: Endpoints) -> Iterator[str]:
    """A database of an agency, with its outbox."""
    name = f"agency_{uuid4().hex[:8]}"
    with psycopg.connect(endpoints.database_url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    url = urlsplit(endpoints.database_url)._replace(path=f"/{name}").geturl()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(outbox_ddl("outbox").encode())
    try:
        yield url
    finally:
        with psycopg.connect(endpoints.database_url, autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def _fill(database_url: str, record_type: RecordType) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("SET synchronous_commit = off")
        for start in range(0, DRAINED, CHANGES_A_TRANSACTION):
            persons = [national_id(number) for number in range(start, start + CHANGES_A_TRANSACTION)]
            connection.execute(FILL, {"record_type": record_type.id, "body": json.dumps(BODY), "persons": persons})
        connection.execute("VACUUM ANALYZE outbox.changes")


def _paced(drain: Relayed, database_url: str, record_type: RecordType) -> list[float]:
    """Seconds from each commit to the broker's word."""
    words = [database_url, record_type.id, national_id(1), json.dumps(BODY), str(PACE_EVENTS_S), str(PACED)]
    told = subprocess.run([sys.executable, "-c", APPLICATION, *words], stdout=subprocess.PIPE, check=True).stdout
    drain.wait_for(DRAINED + PACED)
    return [drain.acknowledged[UUID(event_id)] - at for event_id, at in json.loads(told).items()]


def _left(database_url: str) -> int:
    with psycopg.connect(database_url) as connection:
        row = connection.execute("SELECT count(*) FROM outbox.changes").fetchone()
        assert row is not None
        return int(row[0])


def main() -> None:
    folder = Path(tempfile.mkdtemp(prefix="yekbar-bench-"))
    folder.chmod(0o711)
    try:
        with Stack(folder) as stack:
            for line in measure(stack.endpoints):
                print(json.dumps(line))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
