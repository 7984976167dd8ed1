"""How fast an outbox is drained, how soon a committed change is acknowledged, and how soon another relay takes over.

`python tests/bench/onramp_relay.py` starts a stack of its own; `measure` takes one that runs.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import psutil
import psycopg

sys.path.insert(0, str(Path(__file__).parent))

from load import national_id

from bus.kafka import kafka_connection
from bus.subject import Pseudonymizer
from deploy.local.process import free_port
from deploy.local.registry import RegistryService
from deploy.local.stack import Endpoints, Stack
from deploy.provision import create_topics
from producers.outbox import OutboxRelay
from producers.outbox_journal import outbox_ddl
from producers.publisher import Publisher
from registry.catalogue import load_catalogue
from registry.client import ConfluentSchemaRegistry
from registry.contracts import RecordType, RecordTypeId

YEKBAR = [sys.executable, "-m", "deploy.cli.main"]
RECORD_TYPE = RecordTypeId("labour-relations.employment")
DRAINED = 200_000
CHANGES_A_TRANSACTION = 20
PACE_EVENTS_S = 500
PACED = 5_000
DEADLINE_S = 120
GOAL_EVENTS_S, GOAL_LAG_MS, GOAL_TAKEOVER_S = 25_000, 20, 5
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
BODY = json.dumps(
    {
        "employment_number": "1402-100",
        "employer_name": "کارگاه تولیدی یکم",
        "occupation_code": "7223",
        "contract_kind": "permanent",
        "status": "active",
        "monthly_wage_rials": 120_000_000,
    }
)


class Relayed:
    """A relay in a thread, and when it heard of each event's acknowledgement."""

    def __init__(self, database_url: str, environment: Mapping[str, str]) -> None:
        self.acknowledged: dict[UUID, float] = {}
        self._must_stop = threading.Event()

        def open_publisher(one: RecordType, source: str, journal: Any) -> Publisher:
            return Publisher(
                one,
                source=source,
                kafka=kafka_connection(environment["KAFKA_BOOTSTRAP"], environment),
                registry=ConfluentSchemaRegistry(environment["SCHEMA_REGISTRY_URL"]),
                pseudonymizer=Pseudonymizer(bytes.fromhex(environment["YEKBAR_DOMAIN_KEY"]), "iran"),
                journal=journal,
                on_delivered=self._take,
            )

        record_types = {str(name): one for name, one in load_catalogue(None).record_types.items()}
        relay = OutboxRelay(
            database_url, schema="outbox", name="bench", record_types=record_types, open_publisher=open_publisher
        )
        self._thread = threading.Thread(target=relay.run, args=(self._must_stop,))
        self._thread.start()

    def _take(self, event_ids: Sequence[UUID]) -> None:
        self.acknowledged.update(dict.fromkeys(event_ids, time.time()))

    def wait_for(self, count: int) -> float:
        """When the last of so many events was acknowledged."""
        until = time.monotonic() + DEADLINE_S
        while len(self.acknowledged) < count:
            assert time.monotonic() < until, f"{len(self.acknowledged)} of {count} events were acknowledged"
            time.sleep(0.01)
        return max(self.acknowledged.values())

    def stop(self) -> None:
        """Ends the relay."""
        self._must_stop.set()
        self._thread.join()


def measure(
    folder: Path, endpoints: Endpoints, registry_url: str, *, drained: int = DRAINED, paced: int = PACED
) -> dict[str, Any]:
    """Drains a full outbox, relays changes that come at a pace, and kills a relay that another stands by."""
    environment = {
        **os.environ,
        "KAFKA_BOOTSTRAP": endpoints.kafka_bootstrap,
        "KAFKA_CLIENT_FILE": endpoints.kafka_client_file,
        "DATABASE_URL": endpoints.database_url,
        "SCHEMA_REGISTRY_URL": registry_url,
        "YEKBAR_DOMAIN_KEY": endpoints.domain_key,
        "YEKBAR_DATA": str(folder / "data"),
    }
    connection = kafka_connection(endpoints.kafka_bootstrap, environment)
    create_topics(connection, [load_catalogue(None).record_types[RECORD_TYPE]])
    with _agency(endpoints) as database_url:
        _fill(database_url, drained)
        began, before_s = time.time(), time.process_time()
        relayed = Relayed(database_url, environment)
        try:
            seconds = relayed.wait_for(drained) - began
            spent_s = time.process_time() - before_s
            lags = _paced(relayed, database_url, drained=drained, paced=paced)
        finally:
            relayed.stop()
        is_correct = len(relayed.acknowledged) == drained + paced and _left(database_url) == 0
        takeover_s = _takeover(database_url, environment)
    return {
        "work": "relay an outbox",
        "events": drained,
        "events_per_s": round(drained / seconds),
        "cpu_us_per_event": round(spent_s / drained * 1e6, 1),
        "goal_events_per_s": GOAL_EVENTS_S,
        "lag_p50_ms": round(statistics.median(lags) * 1e3, 1),
        "lag_p99_ms": round(statistics.quantiles(lags, n=100)[98] * 1e3, 1),
        "goal_lag_p50_ms": GOAL_LAG_MS,
        "takeover_s": round(takeover_s, 1),
        "goal_takeover_s": GOAL_TAKEOVER_S,
        "correct": is_correct,
    }


@contextmanager
def _agency(endpoints: Endpoints) -> Iterator[str]:
    """A database of an agency, with its outbox."""
    with psycopg.connect(endpoints.database_url, autocommit=True) as connection:
        connection.execute("DROP DATABASE IF EXISTS bench_agency WITH (FORCE)")
        connection.execute("CREATE DATABASE bench_agency")
    url = urlsplit(endpoints.database_url)._replace(path="/bench_agency").geturl()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(outbox_ddl("outbox").encode())
    try:
        yield url
    finally:
        with psycopg.connect(endpoints.database_url, autocommit=True) as connection:
            connection.execute("DROP DATABASE bench_agency WITH (FORCE)")


def _fill(database_url: str, count: int) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("SET synchronous_commit = off")
        for start in range(0, count, CHANGES_A_TRANSACTION):
            persons = [national_id(number) for number in range(start, start + CHANGES_A_TRANSACTION)]
            connection.execute(FILL, {"record_type": RECORD_TYPE, "body": BODY, "persons": persons})
        connection.execute("VACUUM ANALYZE outbox.changes")


def _paced(relayed: Relayed, database_url: str, *, drained: int, paced: int) -> list[float]:
    """Seconds from each commit to the broker's word."""
    words = [database_url, RECORD_TYPE, national_id(1), BODY, str(PACE_EVENTS_S), str(paced)]
    told = subprocess.run([sys.executable, "-c", APPLICATION, *words], stdout=subprocess.PIPE, check=True).stdout
    relayed.wait_for(drained + paced)
    return [relayed.acknowledged[UUID(event_id)] - at for event_id, at in json.loads(told).items()]


def _takeover(database_url: str, environment: Mapping[str, str]) -> float:
    """Seconds from the death of a relay to the first change that another brings onto the bus."""
    words = [*YEKBAR, "relay", database_url, "--name", "bench"]
    relays = [subprocess.Popen(words, env=dict(environment), stderr=subprocess.DEVNULL) for _ in range(2)]
    try:
        with psycopg.connect(database_url, autocommit=True) as connection:
            _wait_for_relays(connection, len(relays))
            (leader,) = _row(connection, "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted")
            (port,) = _row(connection, f"SELECT client_port FROM pg_stat_activity WHERE pid = {leader}")
            first = next(relay for relay in relays if port in _ports(relay.pid))
            first.kill()
            began = time.monotonic()
            connection.execute(FILL, {"record_type": RECORD_TYPE, "body": BODY, "persons": [national_id(1)]})
            while _left(database_url):
                assert time.monotonic() < began + DEADLINE_S, "no relay took over"
                time.sleep(0.02)
            return time.monotonic() - began
    finally:
        for relay in relays:
            relay.kill()
            relay.wait()


def _wait_for_relays(connection: psycopg.Connection[Any], count: int) -> None:
    """Waits until one leads and the others stand by."""
    asking = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    leading = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted"
    until = time.monotonic() + DEADLINE_S
    while _row(connection, asking)[0] < 2 * count or not _row(connection, leading)[0]:
        assert time.monotonic() < until, "the relays do not connect"
        time.sleep(0.1)
    time.sleep(1)  # the leader opens its publishers


def _ports(pid: int) -> set[int]:
    """The local ports of a process's connections."""
    return {one.laddr.port for one in psutil.Process(pid).net_connections()}


def _row(connection: psycopg.Connection[Any], query: str) -> Any:
    row = connection.execute(query.encode()).fetchone()
    assert row is not None
    return row


def _left(database_url: str) -> int:
    with psycopg.connect(database_url) as connection:
        return int(_row(connection, "SELECT count(*) FROM outbox.changes")[0])


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
