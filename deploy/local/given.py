"""Services that somebody else runs: not started, but asked whether they answer and are new enough."""

from collections.abc import Callable, Mapping
from threading import Event
from urllib.parse import urlsplit

import psycopg
from confluent_kafka import KafkaException

from bus.kafka import admin, kafka_connection
from deploy.local.errors import StackError
from deploy.local.process import ChildProcess
from deploy.local.registry import answers

ANSWER_TIMEOUT_S = 10
POSTGRES_MIN = 17  # it knows all that our SQL files say; the stack itself brings 18


class GivenPart:
    """A service that a setting names; started and stopped by somebody else."""

    def __init__(self, name: str, place: str, check: Callable[[], None]) -> None:
        self.name = name
        self._place = place
        self._check = check

    @property
    def place(self) -> str:
        """The address, without a secret."""
        return self._place

    @property
    def process(self) -> ChildProcess | None:
        """None: it is no process of ours."""
        return None

    def start(self, cancelled: Event | None = None) -> None:  # noqa: ARG002 - nothing is waited for
        """Returns when the service answers. Raises StackError naming the setting."""
        self._check()

    def stop(self) -> None:
        """Leaves it as it is."""


def given_kafka(bootstrap: str, environment: Mapping[str, str]) -> GivenPart:
    """The brokers of KAFKA_BOOTSTRAP, entered as KAFKA_CLIENT_FILE says.

    Those older than 2.3 do not know the request that they are asked with.
    """

    def check() -> None:
        try:
            client = admin({**kafka_connection(bootstrap, environment), "log_level": 0})
            client.describe_cluster(request_timeout=ANSWER_TIMEOUT_S).result(ANSWER_TIMEOUT_S + 1)
        except (KafkaException, TimeoutError) as exc:
            raise _no_answer("KAFKA_BOOTSTRAP", bootstrap, exc) from exc

    return GivenPart("Kafka", bootstrap, check)


def given_postgres(url: str) -> GivenPart:
    """The server of DATABASE_URL. Its address is told, its password never."""
    parts = urlsplit(url)
    place = f"{parts.hostname}:{parts.port or 5432}{parts.path}"

    def check() -> None:
        try:
            with psycopg.connect(url, connect_timeout=ANSWER_TIMEOUT_S) as connection:
                version = connection.info.server_version
        except psycopg.Error as exc:
            raise _no_answer("DATABASE_URL", place, exc) from exc
        if version // 10_000 < POSTGRES_MIN:
            raise StackError(
                f"the PostgreSQL at {place} has version {version // 10_000}",
                remedy=f"use version {POSTGRES_MIN} or later, or unset DATABASE_URL",
            )

    return GivenPart("PostgreSQL", place, check)


def given_registry(url: str) -> GivenPart:
    """The schema registry of SCHEMA_REGISTRY_URL: ours or any Confluent-compatible one."""
    place = urlsplit(url).netloc.rpartition("@")[2]

    def check() -> None:
        if not answers(url):
            raise _no_answer("SCHEMA_REGISTRY_URL", place, "it does not list its subject names")

    return GivenPart("schema registry", place, check)


def _no_answer(setting: str, place: str, cause: object) -> StackError:
    return StackError(
        f"nothing that is named by {setting} answers at {place}: {cause}",
        remedy=f"start it, or unset {setting} so that one is started here",
    )
