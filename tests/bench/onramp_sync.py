"""How fast a table becomes events, and how fast a whole comparison finds what changed: `yekbar sync` on PostgreSQL.

`python tests/bench/onramp_sync.py` starts a stack of its own; `measure` takes one that runs. A table of seeded rows is
loaded, one row in a hundred is changed, added or deleted, and compared as a whole. Each time what the log says last of
each person is compared with the table, row by row.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import polars as pl
import psutil
import psycopg
from confluent_kafka import TopicPartition

sys.path.insert(0, str(Path(__file__).parent))

from load import national_id

from bus.client_file import CLIENT_FILE
from bus.columns import Decoder
from bus.kafka import KafkaConnection, admin, consumer, kafka_connection
from bus.subject import Pseudonymizer
from bus.topics import records_topic
from deploy.local.process import free_port
from deploy.local.registry import RegistryService
from deploy.local.stack import Endpoints, Stack
from deploy.provision import create_topics
from registry.catalogue import load_catalogue
from registry.composition import event_schema
from registry.contracts import RecordType, RecordTypeId

YEKBAR = [sys.executable, "-m", "deploy.cli.main", "sync"]
RECORD_TYPE = RecordTypeId("post.registered-address")
ROWS = 1_000_000
POLL_S = 0.1
LOAD_GOAL_S, ROUND_GOAL_S, MEMORY_GOAL_MB = 60.0, 20.0, 1_024
TABLE = "CREATE TABLE addresses (id bigint PRIMARY KEY, person char(10), code text, town text, since date, street text)"
CHANGES = (  # one row in a hundred: corrected, moved at a later day, deleted, new
    "UPDATE addresses SET town = 'قم' WHERE id % 125 = 1",
    "UPDATE addresses SET town = 'یزد', since = '2025-01-01' WHERE id % 2000 = 2",
    "DELETE FROM addresses WHERE id % 2000 = 3",
)
MAPPING = """
record_type: {record_type}
source: {source}
table: addresses
fields:
  national_id: person
  effective_from: since
  postal_code: code
  province: {{constant: تهران}}
  city: town
  street: street
"""


def measure(folder: Path, endpoints: Endpoints, registry_url: str, *, rows: int = ROWS) -> list[dict[str, Any]]:
    """Loads a table, changes it and compares it: seconds of the whole command, and its memory."""
    record_type = load_catalogue(None).record_types[RECORD_TYPE]
    kafka = kafka_connection(endpoints.kafka_bootstrap, {CLIENT_FILE: endpoints.kafka_client_file})
    with suppress(Exception):
        create_topics(kafka, [record_type])
    source = f"{RECORD_TYPE}/sync-{uuid4().hex[:8]}"
    mapping = folder / "addresses.yaml"
    mapping.write_text(MAPPING.format(record_type=RECORD_TYPE, source=source), encoding="utf-8")
    name = f"agency_{uuid4().hex[:8]}"
    url = urlsplit(endpoints.database_url)._replace(path=f"/{name}").geturl()
    with psycopg.connect(endpoints.database_url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    environment = {
        **os.environ,
        "KAFKA_BOOTSTRAP": endpoints.kafka_bootstrap,
        CLIENT_FILE: endpoints.kafka_client_file,
        "DATABASE_URL": endpoints.database_url,
        "SCHEMA_REGISTRY_URL": registry_url,
        "YEKBAR_DOMAIN_KEY": endpoints.domain_key,
        "YEKBAR_DATA": str(folder / "data"),
        "SYNC_DATABASE_URL": url,
    }
    log = _Log(kafka, record_type, source, Pseudonymizer(bytes.fromhex(endpoints.domain_key), "iran"))
    _fill(url, rows)
    lines = [_line("sync: load a table", rows, LOAD_GOAL_S, _synced(mapping, environment), log.equals(url))]
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in CHANGES:
            connection.execute(statement.encode())
    done = _synced(mapping, environment)
    lines.append(_line("sync: compare a table, 1 % changed", rows, ROUND_GOAL_S, done, log.equals(url)))
    with psycopg.connect(endpoints.database_url, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())
    return lines


def _fill(url: str, rows: int) -> None:
    frame = pl.DataFrame({"id": range(rows), "person": [national_id(number) for number in range(rows)]}).with_columns(
        code=pl.format("{}", pl.col("id") + 1_000_000_000),
        town=pl.lit("ری"),
        since=pl.lit("2024-01-01"),
        street=pl.format("کوچه {}", pl.col("id") % 1_000),
    )
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(TABLE.encode())
        with connection.cursor().copy("COPY addresses FROM STDIN (FORMAT csv)") as copy:
            for start in range(0, rows, 100_000):
                copy.write(frame[start : start + 100_000].write_csv(include_header=False))
        connection.execute("VACUUM ANALYZE addresses")


def _synced(mapping: Path, environment: dict[str, str]) -> dict[str, Any]:
    """One run of the command: what it says, its seconds, CPU seconds and memory."""
    began = time.perf_counter()
    with subprocess.Popen(
        [*YEKBAR, str(mapping), "--full", "--json"], env=environment, stdout=subprocess.PIPE, encoding="utf-8"
    ) as running:
        # Watched, for what wait4 tells of a child's memory begins with its parent's.
        watched = psutil.Process(running.pid)
        rss_bytes, cpu_s = 0, 0.0
        while running.poll() is None:
            with suppress(psutil.NoSuchProcess):
                rss_bytes = max(rss_bytes, watched.memory_info().rss)
                cpu_s = sum(watched.cpu_times()[:2])
            time.sleep(POLL_S)
        assert running.stdout is not None
        said = running.stdout.read()
    assert running.returncode == 0, said
    return {
        "said": json.loads(said),
        "seconds": time.perf_counter() - began,
        "cpu_s": cpu_s,
        "rss_mb": rss_bytes / (1 << 20),
    }


def _line(work: str, rows: int, goal_s: float, done: dict[str, Any], is_equal: bool) -> dict[str, Any]:
    return {
        "work": work,
        "system": "yekbar",
        "rows": rows,
        "seconds": round(done["seconds"], 1),
        "cpu_s": round(done["cpu_s"], 1),
        "rows_per_s": round(rows / done["seconds"]),
        "events": sum(done["said"][kind] for kind in ("created", "corrected", "ceased", "annulled")),
        "rss_mb_max": round(done["rss_mb"]),
        "goal_s": goal_s,
        "rss_goal_mb": MEMORY_GOAL_MB,
        "correct": is_equal,
    }


class _Log:
    """The events of one source, and what they say last of each person."""

    def __init__(self, kafka: KafkaConnection, record_type: RecordType, source: str, keys: Pseudonymizer) -> None:
        self._kafka, self._source, self._keys = kafka, source, keys
        self._topic = records_topic(record_type.id)
        self._schema = event_schema(record_type)

    def equals(self, url: str) -> bool:
        """Whether it says of each person what the table says, and each sequence once."""
        events = self._events()
        is_whole = events["sequence"].to_list() == list(range(1, events.height + 1))
        last = events.unique("subject", keep="last").filter(pl.col("has_body"))
        columns = ("postal_code", "city", "street")
        said = last.select("subject", *columns, pl.col("effective_from").dt.date().alias("since")).sort("subject")
        with psycopg.connect(url) as connection:
            rows = connection.execute("SELECT person, code, town, street, since FROM addresses").fetchall()
        subjects = [self._keys.pseudonym(row[0]) for row in rows]
        wanted = pl.DataFrame(
            {"subject": subjects, **{name: [row[at] for row in rows] for at, name in enumerate((*columns, "since"), 1)}}
        )
        return is_whole and said.equals(wanted.sort("subject"))

    def _events(self) -> pl.DataFrame:
        reader = consumer(self._kafka, group="bench", **{"enable.partition.eof": True})
        partitions = len(admin(self._kafka).list_topics(self._topic, timeout=30).topics[self._topic].partitions)
        reader.assign([TopicPartition(self._topic, partition, 0) for partition in range(partitions)])
        frames, ended = [], set()
        while len(ended) < partitions:
            values = []
            for message in reader.consume(50_000, timeout=1):
                if message.error() is None:
                    values.append(message.value())
                else:
                    ended.add(message.partition())
            if values:
                decoder = Decoder(int.from_bytes(values[0][1:5], "big"), self._schema)
                frames.append(decoder.decode(values).frame.filter(pl.col("source") == self._source))
        reader.close()
        return pl.concat(frames).sort("sequence")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--rows", type=int, default=ROWS)
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="yekbar-bench-"))
    try:
        with Stack(folder) as stack:
            os.environ[CLIENT_FILE] = stack.endpoints.kafka_client_file
            service = RegistryService(folder / "registry", free_port(), stack.endpoints.database_url)
            service.start()
            try:
                for line in measure(folder, stack.endpoints, service.url, rows=options.rows):
                    print(json.dumps(line))
            finally:
                service.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
