"""The bus at work while the story is told: views that follow the log, and the evidence API in a process of its own."""

import time
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from threading import Event
from typing import Any

import httpx2

from consumers.materializer.run import Progress, ProgressMeter
from deploy.demo.commands import YEKBAR, Commands
from deploy.development_issuer import DevelopmentIssuer
from deploy.local.process import ChildProcess, free_port
from deploy.serving import issuer_folder
from deploy.wiring import Wiring

CATCH_UP_TIMEOUT_S = 300
START_TIMEOUT_S = 60
ASK_TIMEOUT_S = 10
POLL_S = 0.02


class LateError(Exception):
    """The views did not catch up in time."""

    exit_code = 1


class UnansweredError(Exception):
    """The evidence API answered with neither evidence nor a denial."""

    exit_code = 1


class LiveViews:
    """The materializer as a part of the stack, and how far the views are."""

    name = "materializer"

    def __init__(self, wiring: Wiring, commands: Commands, folder: Path, *, workers: int) -> None:
        self._wiring = wiring
        self._commands = commands
        self._log = _log(folder, self.name)
        self._workers = workers
        self.process: ChildProcess | None = None

    @property
    def place(self) -> str:
        """What it is, for people."""
        return f"{self._workers} workers"

    def start(self, _: Event | None = None) -> None:
        """Returns at once; the workers begin to read."""
        words = [*YEKBAR, "materialize", "--workers", str(self._workers)]
        self.process = ChildProcess("the materializer", words, log=self._log, environment=self._commands.environment)

    def wait_until_caught_up(self, on_progress: Callable[[Progress], None] = lambda _: None) -> Progress:
        """Returns when the views hold all that the log holds. Raises LateError, and PartDiedError with its log."""
        record_types = tuple(self._wiring.catalogue.record_types.values())
        meter = ProgressMeter(self._wiring.kafka, self._wiring.settings.database_url, record_types)
        deadline = time.monotonic() + CATCH_UP_TIMEOUT_S
        while True:
            progress = meter.read()
            on_progress(progress)
            if progress.lag == 0:
                return progress
            self._pause(deadline, f"the views lack {progress.lag} events")

    def wait_until_read_to(self, instant: datetime) -> None:
        """Returns when every view vouches that it has all that the bus had at an instant."""
        deadline = time.monotonic() + CATCH_UP_TIMEOUT_S
        with self._wiring.database() as connection:
            while True:
                row = connection.execute("SELECT min(caught_up_at) FROM yekbar.positions").fetchone()
                if row is not None and row[0] is not None and row[0] >= instant:
                    return
                self._pause(deadline, "the views do not say that they are level with the log")

    def _pause(self, deadline: float, state: str) -> None:
        assert self.process is not None, "views are waited for once they were started"
        self.process.check_alive()
        if time.monotonic() > deadline:
            raise LateError(f"{state} after {CATCH_UP_TIMEOUT_S} s")
        time.sleep(POLL_S)

    def stop(self) -> None:
        """Ends the workers in order."""
        if self.process is not None:
            self.process.stop()


class EvidenceApi:
    """The evidence API as a part of the stack, and requests to it over HTTP."""

    name = "evidence API"

    def __init__(self, wiring: Wiring, commands: Commands, folder: Path) -> None:
        self.place = f"127.0.0.1:{free_port()}"
        self._commands = commands
        self._log = _log(folder, "evidence")
        self._issuer = DevelopmentIssuer(folder=issuer_folder(commands.environment), mode=wiring.settings.mode)
        self._client = httpx2.Client(base_url=f"http://{self.place}", timeout=ASK_TIMEOUT_S)
        self.process: ChildProcess | None = None

    def start(self, cancelled: Event | None = None) -> None:
        """Returns when it answers. Raises StackError."""
        words = [*YEKBAR, "serve", "--port", self.place.partition(":")[2]]
        self.process = ChildProcess("the evidence API", words, log=self._log, environment=self._commands.environment)
        self.process.wait_until(self._answers, timeout_s=START_TIMEOUT_S, cancelled=cancelled)

    def _answers(self) -> bool:
        try:
            return self._client.get("/v1/procedures").status_code == httpx2.codes.OK
        except httpx2.HTTPError:
            return False

    def ask(self, agency: str, asked: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
        """The status and the body of the answer, or of the denial, to an agency's request. Raises UnansweredError."""
        token = self._issuer.token({"sub": agency, "agency": agency})
        response = self._client.post(
            "/v1/evidence",
            json={name: value for name, value in asked.items() if value is not None},
            headers={"authorization": f"Bearer {token}"},
        )
        answer: dict[str, Any] = response.json()
        if "requirements" not in answer:
            raise UnansweredError(f"the evidence API answered {response.status_code}: {answer.get('title')}")
        return response.status_code, answer

    def own_list(self, national_id: str, *, limit: int) -> list[dict[str, Any]]:
        """Who asked about a citizen, as she herself is told. Raises UnansweredError."""
        token = self._issuer.token({"national_id": national_id, "acr": "high"})
        response = self._client.get(
            "/v1/me/accesses", params={"limit": limit}, headers={"authorization": f"Bearer {token}"}
        )
        if response.status_code != httpx2.codes.OK:
            raise UnansweredError(f"the evidence API answered {response.status_code} to a citizen")
        shown: list[dict[str, Any]] = response.json()["accesses"]
        return shown

    def stop(self) -> None:
        """Ends the process in order."""
        self._client.close()
        if self.process is not None:
            self.process.stop()


def _log(folder: Path, part: str) -> Path:
    """Where a part writes its log: in a folder of its own, as those of the stack do."""
    place = folder / part / f"{part}.log"
    place.parent.mkdir(parents=True, exist_ok=True)
    return place
