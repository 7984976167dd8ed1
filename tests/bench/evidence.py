"""How many evidence answers a second: `make bench`, or `python tests/bench/evidence.py --help`.

Fills two views of two agencies and asks over HTTP about persons drawn at random, each answer with its token checked and
its access recorded before. In turn with it runs the same job as a plain FastAPI and SQLAlchemy service does it, and
pgbench with the same statements, one person after the other. The load shares the machine with what it measures.
"""

import argparse
import asyncio
import json
import multiprocessing
import os
import platform
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import psycopg
import uvloop

sys.path.insert(0, str(Path(__file__).parent))

from evidence_load import Measured, load
from evidence_nation import PROCEDURE, PSEUDONYMS, fill, make_books, nation, national_id
from evidence_rivals import Limit, Rival, cpu_s, database_limit, ours, pgbench_binary, plain

from bus.http.observed import Observed
from bus.http.server import serve
from bus.http.settings import read_token_settings
from bus.settings import Mode
from consumers.evidence.app import EvidenceApp
from deploy.cli.output import print_table
from deploy.development_issuer import DevelopmentIssuer
from deploy.local.postgres import Postgres
from deploy.local.process import free_port
from deploy.serving import EVIDENCE_ROUTES

DATABASE_VARIABLE, FOLDER_VARIABLE = "BENCH_DATABASE_URL", "BENCH_FOLDER"
WARM_UP = 1.25  # the load runs a quarter longer than it counts
WARM_UP_S = 2
LOAD_TIMEOUT_S = 60  # a load that failed says nothing
CHECKED = 50  # persons whose answers of all services are compared
DENIALS = 1_000  # timed for each kind of person


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One load on one service, with CPU microseconds an answer by process."""

    measured: Measured
    cpu_us: Mapping[str, float]


def app() -> Observed:
    """The application under load, in the server's process, counted as in production."""
    issuer = DevelopmentIssuer(folder=Path(os.environ[FOLDER_VARIABLE]), mode=Mode.DEVELOPMENT)
    made = EvidenceApp(
        catalogue=nation(),
        pseudonymizer=PSEUDONYMS,
        settings=read_token_settings(issuer.environment()),
        database_url=os.environ[DATABASE_VARIABLE],
    )
    return Observed(made, door="evidence", routes=EVIDENCE_ROUTES)


def run_server(port: int, workers: int) -> None:
    """Serves until it is ended."""
    serve("evidence:app", host="127.0.0.1", port=port, workers=workers)


def request_maker(token: str, persons: int, seed: int) -> Any:
    """Gives requests about persons drawn at random."""
    head = (
        "POST /v1/evidence HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        f"Authorization: Bearer {token}\r\nContent-Length: "
    )
    draw = random.Random(seed)
    requests = []
    for _ in range(100_000):
        body = json.dumps(asked(national_id(draw.randrange(persons))))
        requests.append(f"{head}{len(body)}\r\n\r\n{body}".encode())
    turn = iter(requests * 100)
    return lambda: next(turn)


def asked(person: str) -> dict[str, str]:
    """One request's body."""
    return {"procedure": PROCEDURE, "national_id": person, "case_reference": "1405-17"}


def run_load(port: int, token: str, persons: int, connections: int, seconds: float, out: Any) -> None:
    """One load, from a process of its own."""
    make = request_maker(token, persons, time.time_ns())
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        before = time.process_time()
        found = runner.run(load("127.0.0.1", port, make, connections=connections, seconds=seconds))
        out.put((found, time.process_time() - before))


def measure(rival: Rival, token: str, postgres: int, options: argparse.Namespace) -> Run:
    """One load's outcome."""
    parts = {"server": rival.process.pid, "PostgreSQL": postgres}
    before = {name: cpu_s(pid) for name, pid in parts.items()}
    context = multiprocessing.get_context("spawn")
    out = context.Queue()
    args = (rival.port, token, options.persons, options.connections, options.seconds, out)
    process = context.Process(target=run_load, args=args)
    process.start()
    measured, load_s = out.get(timeout=options.seconds + LOAD_TIMEOUT_S)
    process.join()
    answers = measured.rate * options.seconds * WARM_UP
    used = {name: cpu_s(pid) - before[name] for name, pid in parts.items()}
    cpu_us = {name: round(spent / answers * 1e6, 1) for name, spent in {**used, "load": load_s}.items()}
    return Run(measured=measured, cpu_us=cpu_us)


def wait_for(url: str) -> None:
    """Returns when the service answers."""
    for _ in range(600):
        try:
            if httpx2.get(f"{url}/v1/procedures").status_code == 200:
                return
        except httpx2.HTTPError:
            time.sleep(0.1)
    raise SystemExit(f"{url} does not answer")


def are_right(rivals: Sequence[Rival], token: str, database_url: str, persons: int) -> bool:
    """Whether all services say the same of the same persons, and record as many accesses as they answer."""
    people = [national_id(number) for number in random.sample(range(persons), min(CHECKED, persons))]
    with psycopg.connect(database_url, autocommit=True) as connection:
        before = connection.execute("SELECT count(*) FROM yekbar.accesses").fetchone()[0]
        told = [[claims_of(rival.port, token, one) for one in people] for rival in rivals]
        recorded = connection.execute("SELECT count(*) FROM yekbar.accesses").fetchone()[0] - before
    expected = {"clearance": {"cleared": True}, "identity": {"full_name": "نام نام‌خانوادگی", "sex": "female"}}
    return recorded == len(people) * len(rivals) and all(one == expected for answers in told for one in answers)


def claims_of(port: int, token: str, person: str) -> Mapping[str, Any]:
    """What a service tells of a person."""
    headers = {"authorization": f"Bearer {token}"}
    answer = httpx2.post(f"http://127.0.0.1:{port}/v1/evidence", json=asked(person), headers=headers)
    return {
        one["requirement"]: one["evidence"][0]["claims"] for one in answer.raise_for_status().json()["requirements"]
    }


def denial_times(rival: Rival, issuer: DevelopmentIssuer, persons: int) -> tuple[float, float]:
    """How long a denial takes for persons who exist and for others: means of the middle four fifths, milliseconds."""
    times: dict[bool, list[float]] = {True: [], False: []}
    headers = {"authorization": f"Bearer {issuer.token({'agency': 'tax'})}"}
    with httpx2.Client(base_url=f"http://127.0.0.1:{rival.port}", headers=headers) as client:
        for turn in range(2 * DENIALS):
            exists = turn % 2 == 0
            body = asked(national_id(random.randrange(persons) + (0 if exists else persons)))
            began = time.perf_counter()
            answer = client.post("/v1/evidence", json=body)
            times[exists].append(time.perf_counter() - began)
            assert answer.status_code == 403
    cut = DENIALS // 10
    known, unknown = (statistics.mean(sorted(times[one])[cut:-cut]) * 1000 for one in (True, False))
    return known, unknown


def bench(database_url: str, folder: Path, postgres: int, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Serves, measures in turn, checks."""
    issuer = DevelopmentIssuer(folder=folder / "issuer", mode=Mode.DEVELOPMENT)
    token = issuer.token({"agency": "asker"})
    binary = pgbench_binary()
    with ExitStack() as stack:
        rivals = [stack.enter_context(ours(database_url, folder / "issuer", options.workers))]
        if not options.alone:
            try:
                rivals.append(stack.enter_context(plain(database_url, folder / "issuer")))
            except (OSError, subprocess.CalledProcessError) as exc:
                print(f"SKIPPED: the plain service, for its libraries cannot be fetched ({exc})", flush=True)
        for rival in rivals:
            wait_for(f"http://127.0.0.1:{rival.port}")
        is_right = are_right(rivals, token, database_url, options.persons)
        known, unknown = denial_times(rivals[0], issuer, options.persons)
        for rival in rivals:  # pools are filled, statements prepared
            measure(rival, token, postgres, argparse.Namespace(**{**vars(options), "seconds": WARM_UP_S}))
        runs: dict[str, list[Run]] = {rival.name: [] for rival in rivals}
        for _ in range(options.runs):
            for rival in rivals:
                runs[rival.name].append(measure(rival, token, postgres, options))
    facts = [facts_of(name, of_one, is_right) for name, of_one in runs.items()]
    facts.append(denial_facts(known, unknown))
    if options.alone or binary is None:
        print("SKIPPED: pgbench" if options.alone else "SKIPPED: there is no pgbench (postgresql-contrib)", flush=True)
    else:
        clients, seconds = options.connections, max(2, round(options.seconds))
        limits = [
            database_limit(binary, database_url, postgres, persons=options.persons, clients=clients, seconds=seconds)
            for _ in range(options.runs)
        ]
        facts.append(limit_facts(limits))
    return facts


def facts_of(name: str, runs: Sequence[Run], is_right: bool) -> dict[str, Any]:
    """A line of results.json."""
    rates = [one.measured.rate for one in runs]
    return {
        "work": "answer for evidence",
        "system": name,
        "unit": "answers/s",
        "median": round(statistics.median(rates)),
        "min": round(min(rates)),
        "max": round(max(rates)),
        "runs": len(runs),
        "p50_ms": round(statistics.median(one.measured.p50_ms for one in runs), 1),
        "p99_ms": round(statistics.median(one.measured.p99_ms for one in runs), 1),
        "correct": is_right and all(set(one.measured.statuses) == {200} for one in runs),
        "cpu_us_per_answer": {
            part: round(statistics.median(one.cpu_us[part] for one in runs), 1) for part in runs[0].cpu_us
        },
    }


def limit_facts(limits: Sequence[Limit]) -> dict[str, Any]:
    """The line of what the database did alone, a person at a time."""
    rates = [one.rate for one in limits]
    return {
        "work": "answer for evidence",
        "system": "pgbench, the statements alone",
        "unit": "answers/s",
        "median": round(statistics.median(rates)),
        "min": round(min(rates)),
        "max": round(max(rates)),
        "runs": len(limits),
        "p50_ms": round(statistics.median(one.p50_ms for one in limits), 1),
        "p99_ms": None,
        "correct": True,
        "cpu_us_per_answer": {"PostgreSQL": round(statistics.median(one.postgres_us for one in limits), 1)},
    }


def denial_facts(known: float, unknown: float) -> dict[str, Any]:
    """The line that compares denials."""
    ratio = known / unknown
    return {
        "work": "deny, person known / unknown",
        "system": "yekbar",
        "unit": "ms",
        "known_ms": round(known, 3),
        "unknown_ms": round(unknown, 3),
        "ratio": round(ratio, 3),
        "correct": abs(ratio - 1) <= 0.05,
    }


def write(facts: Sequence[Mapping[str, Any]], out: Path) -> None:
    """Puts our lines into the results, in place of those of an earlier run."""
    machine = {"cores": os.cpu_count(), "python": platform.python_version(), "machine": platform.machine()}
    known = json.loads(out.read_text()) if out.exists() else {"machine": machine, "results": []}
    works = {one["work"] for one in facts}
    known["results"] = [*(one for one in known["results"] if one["work"] not in works), *facts]
    out.write_text(json.dumps(known, indent=2) + "\n")


def show(facts: Sequence[Mapping[str, Any]], runs: int) -> None:
    """Prints the figures."""
    loads = [one for one in facts if one["unit"] == "answers/s"]
    first = loads[0]["median"]
    rows = []
    for one in loads:
        cpu = one["cpu_us_per_answer"]
        shown = [cpu.get(part, "") for part in ("server", "PostgreSQL", "load")]
        ratio = f"{first / one['median']:.1f}"
        rows.append(
            [
                one["system"],
                one["median"],
                one["min"],
                one["max"],
                one["p50_ms"],
                one["p99_ms"],
                *shown,
                ratio,
                one["correct"],
            ]
        )
    columns = [
        "system",
        "answers/s",
        "min",
        "max",
        "p50 ms",
        "p99 ms",
        "server µs",
        "PostgreSQL µs",
        "load µs",
        "ours / it",
        "right",
    ]
    print_table(f"Evidence: {runs} runs in turn, medians, CPU by answer", columns, rows)
    for one in facts:
        if one["unit"] == "ms":
            known, unknown, ratio = one["known_ms"], one["unknown_ms"], one["ratio"]
            print(f"a denial takes {known} ms for a person who is known, {unknown} ms for one who is not: {ratio}")


def main() -> None:
    """Runs the bench and prints its figures."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--persons", type=int, default=1_000_000)
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--alone", action="store_true", help="measure nothing beside it")
    parser.add_argument("--folder", type=Path, help="keep the database here and use it again")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results.json")
    options = parser.parse_args()
    folder = options.folder or Path(tempfile.mkdtemp(prefix="yekbar-bench-"))
    folder.mkdir(exist_ok=True)
    folder.chmod(0o755)
    postgres = Postgres(folder / "postgres", free_port())
    postgres.start()
    try:
        url = postgres.url()
        with psycopg.connect(url, autocommit=True) as connection:
            is_new = connection.execute("SELECT to_regnamespace('\"tax.status\"') IS NULL").fetchone()[0]
        if is_new:
            print(f"filling two views with {options.persons:,} persons each …", flush=True)
            fill(url, options.persons)
        make_books(url)
        facts = bench(url, folder, postgres.process.pid, options)
    finally:
        postgres.stop()
        if options.folder is None:
            shutil.rmtree(folder, ignore_errors=True)
    write(facts, options.out)
    show(facts, options.runs)
    sys.exit(0 if all(one["correct"] for one in facts) else 1)


if __name__ == "__main__":
    main()
