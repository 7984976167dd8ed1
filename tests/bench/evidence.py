"""How many evidence answers a second: `python tests/bench/evidence.py`.

Starts a PostgreSQL, fills two views, serves the API from a process of its own, and asks over HTTP from another: each
answer is checked, its access record committed before. Everything shares this machine.
"""

import argparse
import asyncio
import json
import multiprocessing
import os
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx2
import psutil
import psycopg

sys.path.insert(0, str(Path(__file__).parent))

from evidence_load import Measured, load
from evidence_nation import PROCEDURE, PSEUDONYMS, fill, make_books, nation, national_id

from bus.http.server import serve
from bus.http.settings import read_token_settings
from bus.settings import Mode
from consumers.evidence.app import EvidenceApp
from deploy.development_issuer import DevelopmentIssuer
from deploy.local.postgres import Postgres
from deploy.local.process import free_port

DATABASE_VARIABLE, FOLDER_VARIABLE = "BENCH_DATABASE_URL", "BENCH_FOLDER"


def app() -> EvidenceApp:
    """The application under load, in the server's worker."""
    issuer = DevelopmentIssuer(folder=Path(os.environ[FOLDER_VARIABLE]), mode=Mode.DEVELOPMENT)
    return EvidenceApp(
        catalogue=nation(),
        pseudonymizer=PSEUDONYMS,
        settings=read_token_settings(issuer.environment()),
        database_url=os.environ[DATABASE_VARIABLE],
    )


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
    ids = [national_id(draw.randrange(persons)) for _ in range(100_000)]
    requests = []
    for one in ids:
        body = json.dumps({"procedure": PROCEDURE, "national_id": one, "case_reference": "1405-17"})
        requests.append(f"{head}{len(body)}\r\n\r\n{body}".encode())
    turn = iter(requests * 100)
    return lambda: next(turn)


def run(port: int, token: str, persons: int, connections: int, seconds: float, out: Any) -> None:
    """One load, from a process of its own."""
    make = request_maker(token, persons, time.time_ns())
    out.put(asyncio.run(load("127.0.0.1", port, make, connections=connections, seconds=seconds)))


def measure(port: int, token: str, options: argparse.Namespace) -> Measured:
    """One load's outcome."""
    context = multiprocessing.get_context("spawn")
    out = context.Queue()
    args = (port, token, options.persons, options.connections, options.seconds, out)
    process = context.Process(target=run, args=args)
    process.start()
    measured = out.get()
    process.join()
    return measured


def wait_for(url: str) -> None:
    """Returns when the service answers."""
    for _ in range(600):
        try:
            if httpx2.get(f"{url}/v1/procedures").status_code == 200:
                return
        except httpx2.HTTPError:
            time.sleep(0.1)
    raise SystemExit(f"{url} does not answer")


def cpu_s(pid: int) -> float:
    """The CPU seconds that a process and its children have used, those that ended left out."""
    one = psutil.Process(pid)
    used = [each.cpu_times() for each in (one, *one.children(recursive=True))]
    return sum(times.user + times.system for times in used)


def main() -> None:
    """Runs the bench and prints its figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--persons", type=int, default=1_000_000)
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--folder", type=Path, help="keep the database here and use it again")
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
        bench(url, folder, postgres.process.pid, options)
    finally:
        postgres.stop()
        if options.folder is None:
            shutil.rmtree(folder, ignore_errors=True)


def bench(database_url: str, folder: Path, postgres: int, options: argparse.Namespace) -> None:
    """Serves, measures, checks."""
    port = free_port()
    os.environ[DATABASE_VARIABLE], os.environ[FOLDER_VARIABLE] = database_url, str(folder / "issuer")
    multiprocessing.set_start_method("spawn", force=True)
    server = multiprocessing.Process(target=run_server, args=(port, options.workers))
    server.start()
    try:
        wait_for(f"http://127.0.0.1:{port}")
        token = DevelopmentIssuer(folder=folder / "issuer", mode=Mode.DEVELOPMENT).token({"agency": "asker"})
        for _ in range(options.runs):
            parts = {"server": server.pid, "postgres": postgres}
            before = {name: cpu_s(pid) for name, pid in parts.items()}
            one = measure(port, token, options)
            answers = one.rate * options.seconds * 1.25  # the load warms up before it counts
            used = {name: round((cpu_s(pid) - before[name]) / answers * 1e6) for name, pid in parts.items()}
            print(
                f"{one.rate:,.0f}/s  p50 {one.p50_ms:.1f} ms  p99 {one.p99_ms:.1f} ms",
                f"{one.statuses} CPU µs/answer {used}",
                flush=True,
            )
    finally:
        server.terminate()
        server.join()


if __name__ == "__main__":
    main()
