"""Many seeded runs of every fault on a stack of its own; ends with 1 when anything was lost, doubled or wrong.

`make torture ARGS="--runs 40 --seed 7"`
"""

import argparse
import os
import random
import sys
import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import psycopg

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

from faults import OCCURRENCES, RANDOM_FAULTS, STEPS, death_at_a_step
from hostile_stack import hostile_stack
from ordeal import Ordeal, Verdict

from bus.client_file import CLIENT_FILE
from deploy.local.broker_settings import write_platform_file

RUNS_ON_ONE_TOPIC = 10  # then a new one: the judge folds the whole log each time


@dataclass
class Row:
    """What one kind of fault came to."""

    runs: int = 0
    kills: int = 0
    lost: int = 0
    doubled: int = 0
    wrong: int = 0
    seconds: float = 0.0


def plan(runs, chance):
    """Each step at each occurrence, and each random fault, over and over, in a seeded order."""
    steps = [(step, lambda o, _, s=step, n=n: death_at_a_step(o, s, n)) for step in STEPS for n in OCCURRENCES]
    others = [(fault.__name__, fault) for fault in RANDOM_FAULTS]
    planned = []
    while len(planned) < runs:
        planned += chance.sample(steps + others, len(steps) + len(others))
    return planned[:runs]


def fresh_ordeal(stack, chance):
    name = f"torture_{uuid4().hex}"
    with psycopg.connect(stack.endpoints.database_url, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
    url = urlsplit(stack.endpoints.database_url)._replace(path=f"/{name}").geturl()
    return Ordeal(stack.endpoints.kafka_bootstrap, url, chance, reach=stack.reach(url))


def undergo(ordeal, fault, stack, row):
    """One run: the fault, the verdict, the catching up, the verdict again."""
    began, kills = time.monotonic(), ordeal.kills
    fault(ordeal, stack)
    verdicts = [ordeal.judge()]
    ordeal.bus.catch_up()
    verdicts.append(ordeal.judge())
    worst = Verdict(*(max(getattr(one, name) for one in verdicts) for name in ("lost", "doubled", "wrong")))
    row.runs += 1
    row.kills += ordeal.kills - kills
    row.lost += worst.lost
    row.doubled += worst.doubled
    row.wrong += worst.wrong
    row.seconds += time.monotonic() - began
    return worst.is_clean


def torture(runs, seed, stack, on_row):
    chance = random.Random(seed)
    table = defaultdict(Row)
    ordeal = None
    for number, (name, fault) in enumerate(plan(runs, chance)):
        if number % RUNS_ON_ONE_TOPIC == 0:
            if ordeal is not None:
                ordeal.close()
            ordeal = fresh_ordeal(stack, chance)
        is_clean = undergo(ordeal, fault, stack, table[name])
        on_row(f"{number + 1:4} of {runs}  {name:28} {'clean' if is_clean else 'NOT CLEAN'}")
    ordeal.close()
    return table


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=222)
    parser.add_argument("--seed", type=int, default=1404)
    asked = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="yekbar-torture-") as folder:
        place = Path(folder) / "platform.properties"
        write_platform_file(place)
        os.environ[CLIENT_FILE] = str(place)  # the broker lets nobody in without, and each worker is told
        with hostile_stack(Path(folder)) as stack:
            table = torture(asked.runs, asked.seed, stack, lambda line: print(line, file=sys.stderr, flush=True))
    print(f"{'fault':28} {'runs':>6} {'kills':>6} {'lost':>6} {'doubled':>8} {'wrong':>6} {'s a run':>8}")
    whole = Row()
    for name, row in [*sorted(table.items()), ("all", whole)]:
        print(
            f"{name:28} {row.runs:6} {row.kills:6} {row.lost:6} {row.doubled:8} {row.wrong:6}"
            f" {row.seconds / row.runs:8.1f}"
        )
        if row is not whole:
            for field in ("runs", "kills", "lost", "doubled", "wrong", "seconds"):
                setattr(whole, field, getattr(whole, field) + getattr(row, field))
    print(f"seed {asked.seed}, {time.monotonic() - began:.0f} s")
    return 1 if whole.lost or whole.doubled or whole.wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
