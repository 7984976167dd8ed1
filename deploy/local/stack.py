"""The stack: PostgreSQL and Kafka over one data folder, started and stopped together."""

import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from bus.client_file import CLIENT_FILE
from deploy.local.given import given_kafka, given_postgres
from deploy.local.kafka import Broker, BrokerPorts
from deploy.local.part import OnStarted, Part, start_together, stop_all
from deploy.local.ports import chosen_ports
from deploy.local.postgres import Postgres

PORTS = ("kafka", "controller", "postgres", "registry")


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoints:
    """Where the parts of a running stack are, and the file by which its broker lets the platform in."""

    kafka_bootstrap: str
    kafka_client_file: str
    database_url: str
    domain_key: str


class Stack:
    """A stack whose state lives in `folder`: the same key and data at each start, and the same ports where free.

    What `given` names (DATABASE_URL, KAFKA_BOOTSTRAP with KAFKA_CLIENT_FILE, YEKBAR_DOMAIN_KEY) is used in place of a
    part of its own.
    """

    def __init__(self, folder: Path, given: Mapping[str, str] | None = None) -> None:
        self.folder = folder.absolute()
        self.folder.mkdir(parents=True, exist_ok=True)
        if os.geteuid() == 0:
            folder.chmod(folder.stat().st_mode | 0o011)  # PostgreSQL runs as another user and must pass through
        self.ports = chosen_ports(self.folder / "ports.json", PORTS)
        ports = BrokerPorts(client=self.ports["kafka"], controller=self.ports["controller"])
        self.broker = Broker(self.folder / "kafka", ports)
        self.postgres = Postgres(self.folder / "postgres", self.ports["postgres"])
        self._given = given or {}

    @property
    def parts(self) -> tuple[Part, ...]:
        """What is started and stopped, or only asked where it was given."""
        database_url, bootstrap = self._given_database_url, self._given_bootstrap
        return (
            given_postgres(database_url) if database_url else self.postgres,
            given_kafka(bootstrap, self._given) if bootstrap else self.broker,
        )

    @property
    def endpoints(self) -> Endpoints:
        """Where the parts are."""
        return Endpoints(
            kafka_bootstrap=self._given_bootstrap or self.broker.bootstrap,
            kafka_client_file=self._client_file,
            database_url=self._given_database_url or self.postgres.url(),
            domain_key=self._given.get("YEKBAR_DOMAIN_KEY") or self._domain_key(),
        )

    @property
    def _given_bootstrap(self) -> str:
        named = self._given.get("KAFKA_BOOTSTRAP", "")
        return "" if named == self.broker.bootstrap else named  # our own, from an earlier 'yekbar env'

    @property
    def _client_file(self) -> str:
        return self._given.get(CLIENT_FILE, "") if self._given_bootstrap else str(self.broker.client_file)

    @property
    def _given_database_url(self) -> str:
        named = self._given.get("DATABASE_URL", "")
        return "" if self.postgres.has_cluster and named == self.postgres.url() else named

    def _domain_key(self) -> str:
        place = self.folder / "domain.key"
        if not place.exists():
            place.touch(mode=0o600)
            place.write_text(secrets.token_hex(32))
        return place.read_text()

    def start(self, on_started: OnStarted = lambda *_: None) -> None:
        """Returns when every part answers; leaves none running when one fails. Raises StackError."""
        try:
            start_together(self.parts, on_started)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Ends every part of its own."""
        stop_all((self.postgres, self.broker))

    def __enter__(self) -> "Stack":
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
