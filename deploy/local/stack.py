"""The stack: PostgreSQL and Kafka over one data folder, started and stopped together."""

import json
import os
import secrets
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from deploy.local.kafka import Broker, BrokerPorts
from deploy.local.postgres import Postgres
from deploy.local.process import free_port


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoints:
    """Where the parts of a running stack are."""

    kafka_bootstrap: str
    database_url: str
    domain_key: str


class Stack:
    """A stack whose state lives in `folder`: the same ports, key and data at each start."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        if os.geteuid() == 0:
            folder.chmod(folder.stat().st_mode | 0o011)  # PostgreSQL runs as another user and must pass through
        ports = self._ports()
        self.broker = Broker(folder / "kafka", BrokerPorts(client=ports["kafka"], controller=ports["controller"]))
        self.postgres = Postgres(folder / "postgres", ports["postgres"])

    def _ports(self) -> dict[str, int]:
        state = self._folder / "ports.json"
        if not state.exists():
            state.write_text(json.dumps({part: free_port() for part in ("kafka", "controller", "postgres")}))
        ports: dict[str, int] = json.loads(state.read_text())
        return ports

    def _domain_key(self) -> str:
        place = self._folder / "domain.key"
        if not place.exists():
            place.touch(mode=0o600)
            place.write_text(secrets.token_hex(32))
        return place.read_text()

    @property
    def endpoints(self) -> Endpoints:
        """Where the parts are."""
        return Endpoints(
            kafka_bootstrap=self.broker.bootstrap, database_url=self.postgres.url(), domain_key=self._domain_key()
        )

    def start(self) -> None:
        """Returns when every part answers; leaves none running when one fails. Raises StackError."""
        try:
            self.postgres.start()
            self.broker.start()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Ends every part, the last started first."""
        with suppress(ProcessLookupError):
            self.broker.stop()
        self.postgres.stop()

    def __enter__(self) -> "Stack":
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
