"""How fast a million changes become views: `make bench`, or `python tests/bench/pipeline.py --help`.

Starts a stack of its own and measures each stage on the same seeded changes: publishing Python objects, publishing
columns, materializing with one worker and with two. The first view of each is compared with the replay of its log.
"""

import argparse
import json
import os
import platform
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import polars as pl
import psutil
import psycopg

sys.path.insert(0, str(Path(__file__).parent))

from load import BENCH_TYPE, changes

from bus.client_file import CLIENT_FILE
from bus.envelope import ChangeKind
from bus.kafka import kafka_connection
from bus.subject import Pseudonymizer
from consumers.audit.diff import diff
from consumers.audit.log import Log
from consumers.materializer.check import Checker
from consumers.materializer.positions import create_positions
from consumers.materializer.run import Assembly, Progress, materialize
from consumers.quality import create_findings
from consumers.quarantine import create_quarantine
from consumers.views import create_views
from deploy.cli.output import print_table, progress
from deploy.local.process import free_port
from deploy.local.registry import RegistryService
from deploy.local.stack import Stack
from deploy.provision import create_topics
from producers.change import Change
from producers.journal_file import SqliteJournal
from producers.publisher import Publisher
from registry.client import ConfluentSchemaRegistry
from registry.contracts import RecordType

PARTITIONS = 4
ENVELOPE = ("national_id", "event_id", "change_kind", "previous_event_id", "effective_from", "recorded_at", "has_body")


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One measured run: events, seconds, and CPU seconds by process."""

    events: int
    seconds: float
    cpu: Mapping[str, float]
    is_correct: bool

    @property
    def rate(self) -> float:
        return self.events / self.seconds


class Bench:
    """A stack, a registry and one log of changes, on which stages are measured."""

    def __init__(self, folder: Path, stack: Stack, service: RegistryService, seed: int) -> None:
        self.folder, self.stack, self.service, self.seed = folder, stack, service, seed
        self.kafka = kafka_connection(stack.endpoints.kafka_bootstrap)
        self.registry = ConfluentSchemaRegistry(service.url)
        self.pseudonymizer = Pseudonymizer(bytes.fromhex(stack.endpoints.domain_key), "iran")

    def record_type(self, name: str) -> RecordType:
        """A record type of its own for one log: a stage never reads what another wrote."""
        made = replace(BENCH_TYPE, id=f"bench-agency.{name}")
        create_topics(self.kafka, [made], partitions=PARTITIONS)
        return made

    def publisher(self, record_type: RecordType) -> Publisher:
        return Publisher(
            record_type,
            source="bench-agency/one",
            kafka=self.kafka,
            registry=self.registry,
            pseudonymizer=self.pseudonymizer,
            journal=SqliteJournal(self.folder / f"{record_type.id}.journal"),
        )

    def cpu(self) -> dict[str, float]:
        """CPU seconds so far of the broker, of PostgreSQL with its children, and of this process with its children."""
        seen: dict[str, float] = {}
        for process in [psutil.Process(), *psutil.Process().children(recursive=True)]:
            with suppress(psutil.NoSuchProcess):
                times = process.cpu_times()
                name = {"java": "broker", "postgres": "PostgreSQL"}.get(process.name(), "client")
                seen[name] = seen.get(name, 0) + times.user + times.system + times.children_user + times.children_system
        return seen

    def publish_objects(self, frame: pl.DataFrame, number: int) -> Run:
        made = self.record_type(f"objects-{number}")
        rows = [_change(row) for row in frame.iter_rows(named=True)]
        with self.publisher(made) as publisher:
            before, began = self.cpu(), time.perf_counter()
            for change in rows:
                publisher.publish(change)
            publisher.flush()
            seconds = time.perf_counter() - began
            return self.run(frame.height, seconds, before, is_correct=publisher.counts.acknowledged == frame.height)

    def publish_columns(self, frame: pl.DataFrame, number: int) -> Run:
        made = self.record_type(f"columns-{number}")
        with self.publisher(made) as publisher:
            before, began = self.cpu(), time.perf_counter()
            publisher.publish_columns(frame)
            publisher.flush()
            seconds = time.perf_counter() - began
            return self.run(frame.height, seconds, before, is_correct=publisher.counts.acknowledged == frame.height)

    def materialize(self, made: RecordType, number: int, workers: int) -> Run:
        """The log of `made` into a database of its own; from the first batch that is in to the last."""
        name = f"bench_{workers}_{number}"
        with psycopg.connect(self.stack.endpoints.database_url, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        url = urlsplit(self.stack.endpoints.database_url)._replace(path=f"/{name}").geturl()
        with psycopg.connect(url, autocommit=True) as connection:
            create_positions(connection)
            create_quarantine(connection)
            create_findings(connection)
            create_views(connection, made)
        samples: list[tuple[float, int, dict[str, float]]] = []

        def sample(progress: Progress) -> None:
            samples.append((time.perf_counter(), progress.done, self.cpu()))

        assembly = Assembly(
            kafka=self.kafka,
            database_url=url,
            schema_registry_url=self.service.url,
            record_types=(made,),
            group=f"{name}-{os.getpid()}",
        )
        materialize(assembly, workers=workers, until_caught_up=True, on_progress=sample)
        first = next(one for one in samples if one[1])
        is_correct = self.is_the_fold(url, made) if number == 0 else True
        with psycopg.connect(self.stack.endpoints.database_url, autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
        spent = {key: value - first[2].get(key, 0) for key, value in samples[-1][2].items()}
        events = samples[-1][1] - first[1]
        return Run(events=events, seconds=samples[-1][0] - first[0], cpu=spent, is_correct=is_correct)

    def is_the_fold(self, url: str, made: RecordType) -> bool:
        with Log(self.kafka) as log, psycopg.connect(url, autocommit=True) as connection:
            return diff(log, connection, Checker(made, self.registry), limit=3).is_equal

    def run(self, events: int, seconds: float, before: Mapping[str, float], *, is_correct: bool) -> Run:
        after = self.cpu()
        cpu = {name: after[name] - before.get(name, 0) for name in after}
        return Run(events=events, seconds=seconds, cpu=cpu, is_correct=is_correct)


def _change(row: Mapping[str, Any]) -> Change:
    body = {name: row[name] for name in row if name not in ENVELOPE} if row["has_body"] else None
    previous = row["previous_event_id"]
    return Change(
        national_id=row["national_id"],
        change_kind=ChangeKind(row["change_kind"]),
        effective_from=row["effective_from"],
        recorded_at=row["recorded_at"],
        previous_event_id=None if previous is None else UUID(bytes=previous),
        event_id=UUID(bytes=row["event_id"]),
        body=body,
    )


def measure(bench: Bench, options: argparse.Namespace) -> list[tuple[str, list[Run]]]:
    """Every stage, as often as asked, in turn."""
    stages: dict[str, list[Run]] = {}
    frame = changes(options.events, seed=options.seed)
    some = frame[: options.events // 4]
    with progress() as bar:
        task = bar.add_task("measuring", total=4 * options.runs)
        for number in range(options.runs):
            for name, stage in {
                "publish Python objects": lambda n: bench.publish_objects(some, n),
                "publish columns": lambda n: bench.publish_columns(frame, n),
                "materialize, 1 worker": lambda n: bench.materialize(bench.record_type(f"columns-{n}"), n, 1),
                "materialize, 2 workers": lambda n: bench.materialize(bench.record_type(f"columns-{n}"), n, 2),
            }.items():
                bar.update(task, description=name)
                stages.setdefault(name, []).append(stage(number))
                bar.advance(task)
    return list(stages.items())


def facts_of(work: str, runs: Sequence[Run]) -> dict[str, Any]:
    """A line of results.json."""
    rates = [run.rate for run in runs]
    cpu = {name: sum(run.cpu.get(name, 0) for run in runs) for name in ("client", "PostgreSQL", "broker")}
    events = sum(run.events for run in runs)
    return {
        "work": work,
        "system": "yekbar",
        "unit": "events/s",
        "median": round(statistics.median(rates)),
        "min": round(min(rates)),
        "max": round(max(rates)),
        "runs": len(runs),
        "events": runs[0].events,
        "correct": all(run.is_correct for run in runs),
        "cpu_us_per_event": {name: round(1e6 * seconds / events, 2) for name, seconds in cpu.items()},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1405)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results.json")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="yekbar-bench-"))
    try:
        with Stack(folder) as stack:
            os.environ[CLIENT_FILE] = stack.endpoints.kafka_client_file
            service = RegistryService(folder / "registry", free_port(), stack.endpoints.database_url)
            service.start()
            try:
                results = measure(Bench(folder, stack, service, options.seed), options)
            finally:
                service.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    facts = [facts_of(work, runs) for work, runs in results]
    machine = {"cores": os.cpu_count(), "python": platform.python_version(), "machine": platform.machine()}
    options.out.write_text(json.dumps({"machine": machine, "results": facts}, indent=2) + "\n")
    columns = ["work", "events", "events/s", "min", "max", "client µs", "PostgreSQL µs", "broker µs", "right"]
    rows = [
        [
            one["work"],
            one["events"],
            one["median"],
            one["min"],
            one["max"],
            *one["cpu_us_per_event"].values(),
            one["correct"],
        ]
        for one in facts
    ]
    print_table(f"{options.runs} runs, median events/s and CPU by event", columns, rows)
    sys.exit(0 if all(one["correct"] for one in facts) else 1)


if __name__ == "__main__":
    main()
