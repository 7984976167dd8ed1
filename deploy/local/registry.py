"""The schema registry as a child process, over a database."""

import sys
import urllib.error
import urllib.request
from http import HTTPStatus
from pathlib import Path
from threading import Event

from deploy.local.process import ChildProcess

START_TIMEOUT_S = 60
ANSWER_TIMEOUT_S = 2


class RegistryService:
    """Our registry on a port; its tables are in `database_url`, its log is in `folder`."""

    name = "schema registry"

    def __init__(self, folder: Path, port: int, database_url: str) -> None:
        self._folder = folder
        self._port = port
        self._database_url = database_url
        self.process: ChildProcess | None = None

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://{self.place}"

    @property
    def place(self) -> str:
        """The address, as people are told."""
        return f"127.0.0.1:{self._port}"

    def start(self, cancelled: Event | None = None) -> None:
        """Returns when the registry lists its subject names. Raises StackError."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self.process = ChildProcess(
            "the schema registry",
            [sys.executable, "-m", "deploy.cli.main", "registry", "--port", str(self._port)],
            log=self._folder / "registry.log",
            environment={"DATABASE_URL": self._database_url},
        )
        try:
            self.process.wait_until(lambda: answers(self.url), timeout_s=START_TIMEOUT_S, cancelled=cancelled)
        except BaseException:
            self.process.kill()
            raise

    def stop(self) -> None:
        """Ends the service in order."""
        if self.process is not None:
            self.process.stop()


def answers(url: str) -> bool:
    """Whether a schema registry lists its subject names there."""
    try:
        with urllib.request.urlopen(f"{url.rstrip('/')}/subjects", timeout=ANSWER_TIMEOUT_S) as answer:
            return bool(answer.status == HTTPStatus.OK)
    except (urllib.error.URLError, OSError):
        return False
