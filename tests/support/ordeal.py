"""What a record type goes through: seeded events, workers as processes that are killed, and the verdict afterwards."""

import itertools
import os
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import UUID, uuid4

import psycopg
from raw_bus import DEADLINE_S, RawBus

from bus.envelope import ChangeKind

SUPPORT = Path(__file__).parent
PERSONS = 200
SMALL = {"BATCH_EVENTS_MAX": "25", "REPORT_EVERY_S": "0.02"}
SWIFT_TIMEOUTS = " -c idle_in_transaction_session_timeout=1s -c transaction_timeout=4s"


@dataclass(frozen=True)
class Verdict:
    """What the view lacks, has too often, or has wrongly."""

    lost: int
    doubled: int
    wrong: int

    @property
    def is_clean(self):
        return self == Verdict(0, 0, 0)


class Ordeal:
    """One record type under fire. `reach` are the addresses that its workers use, where a proxy stands between."""

    def __init__(self, bootstrap, database_url, chance, *, reach=None):
        self.bus = RawBus(bootstrap, database_url)
        self.reach = reach or (bootstrap, database_url)
        self.chance = chance
        self.kills = 0
        self._sent = {}
        self._workers = []
        self._numbers = itertools.count()
        self._folder = tempfile.TemporaryDirectory()

    def load(self, count):
        """Sends mixed changes: corrections, annulments, repeats, reused ids, junk, and what names no event."""
        for _ in range(count):
            self._send_one()
        assert self.bus.producer.flush(DEADLINE_S) == 0

    def _send_one(self):
        chance = self.chance
        subject = UUID(int=chance.randrange(1, PERSONS))
        earlier = self._sent.setdefault(subject, [])
        kind = chance.choices(list(ChangeKind), [80, 8, 6, 6])[0]
        undoes = kind in (ChangeKind.CORRECTED, ChangeKind.ANNULLED)
        if undoes and not earlier:
            kind, undoes = ChangeKind.CREATED, False
        changes = {"change_kind": kind}
        if undoes:
            changes["previous_event_id"] = chance.choice(earlier).event_id if chance.random() < 0.9 else uuid4()
        if kind in (ChangeKind.ANNULLED, ChangeKind.CEASED):
            changes["body"] = None
        event = self.bus.event(subject, **changes)
        earlier.append(event)
        self.bus.send(event)
        dice = chance.random()
        if dice < 0.05:
            self.bus.send(chance.choice(earlier))
        elif dice < 0.06:
            self.bus.send(
                replace(event, effective_from=event.effective_from.replace(year=2025))
            )  # the id of another event
        elif dice < 0.08:
            self.bus.send_raw(subject.bytes, b"junk")

    def start(self, failpoints="", *, group=None, **environment):
        """A worker process, in a consumer group of its own unless one is named: not the group but the fence decides."""
        name = self.bus.record_type.agency.removeprefix("agency-")
        log = Path(self._folder.name) / f"{next(self._numbers)}.log"
        with log.open("wb") as output:
            worker = subprocess.Popen(
                [sys.executable, str(SUPPORT / "worker_process.py"), *self.reach, group or f"test-{uuid4()}", name],
                env={
                    "PYTHONPATH": f"{SUPPORT}:{SUPPORT.parents[1]}",
                    "PATH": os.environ["PATH"],
                    "POLARS_MAX_THREADS": "1",
                    "YEKBAR_MODE": "development",
                    "KAFKA_CLIENT_FILE": os.environ["KAFKA_CLIENT_FILE"],
                    "YEKBAR_FAILPOINTS": failpoints,
                    "MORE_SESSION_SETTINGS": SWIFT_TIMEOUTS,
                    **SMALL,
                    **environment,
                },
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        worker.log = log
        self._workers.append(worker)
        return worker

    def kill(self, worker):
        worker.kill()
        worker.wait(DEADLINE_S)
        self.kills += 1

    def wait_until(self, is_so, what, *, worker=None):
        deadline = time.monotonic() + DEADLINE_S
        while not is_so():
            assert time.monotonic() < deadline, what
            assert worker is None or worker.poll() is None, worker.log.read_text()
            time.sleep(0.01)

    def positions(self):
        with psycopg.connect(self.bus.database_url) as connection:
            return dict(connection.execute("SELECT partition, next_position FROM yekbar.positions").fetchall())

    def wait_until_moved(self, worker, *, since=None):
        before = self.positions() if since is None else since
        self.wait_until(lambda: self.positions() != before, "the worker applied nothing", worker=worker)

    def wait_until_caught_up(self, worker=None):
        wanted = self.bus.log_length()
        self.wait_until(lambda: sum(self.positions().values()) == wanted, "nobody caught up", worker=worker)

    def judge(self):
        """Compares view, counts and quarantine with the fold of the log up to the positions, in one snapshot."""
        view = self.bus.record_type.id
        with psycopg.connect(self.bus.database_url) as connection:
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            positions = dict(connection.execute("SELECT partition, next_position FROM yekbar.positions").fetchall())
            rows = connection.execute(
                f'SELECT subject, event_id, partition, position, voided_by FROM "{view}".facts'
            ).fetchall()
            aside = connection.execute("SELECT partition, position FROM yekbar.quarantine").fetchall()
        expected, refused = self.bus.folded(below=positions)
        actual = {(subject, event_id): tuple(rest) for subject, event_id, *rest in rows}
        return Verdict(
            lost=len(expected.keys() - actual.keys()) + len(refused - set(aside)),
            doubled=len(rows) - len(actual) + len(aside) - len(set(aside)),
            wrong=sum(expected.get(key) != row for key, row in actual.items()) + len(set(aside) - refused),
        )

    def close(self):
        for worker in self._workers:
            with suppress(ProcessLookupError):
                worker.kill()
            worker.wait(DEADLINE_S)
        self._folder.cleanup()
