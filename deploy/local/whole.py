"""The whole stack of one machine: PostgreSQL, Kafka, the schema registry, and the catalogue in force.

It holds its data folder alone, and says there what runs where, so that every command of the machine finds it.
"""

import os
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

import psycopg
import structlog

from bus.client_file import CLIENT_FILE
from deploy.local.errors import StackError
from deploy.local.given import given_registry
from deploy.local.part import OnStarted, Part, start_together, stop_all
from deploy.local.process import birth_of, end_leftovers
from deploy.local.registry import RegistryService
from deploy.local.running import Running, RunningPart, forget_state, held, write_state
from deploy.local.stack import Stack
from deploy.provision import provision
from deploy.wiring import wire

log = structlog.get_logger()


class WholeStack:
    """A stack with its registry, over a data folder; what the environment names is used in place of parts of its own.

    It starts in these steps: hold the folder, end what a killed stack left, start PostgreSQL and Kafka together, start
    the registry, put the catalogue into force, say that it is ready.
    """

    def __init__(
        self, folder: Path, environment: Mapping[str, str] = os.environ, on_started: OnStarted = lambda *_: None
    ) -> None:
        self._folder = folder.absolute()
        self._given = environment
        self._on_started = on_started
        self._holding = ExitStack()
        self._stack: Stack | None = None
        self.parts: tuple[Part, ...] = ()
        self.environment: Mapping[str, str] = {}

    def start(self) -> None:
        """Returns when everything answers; leaves nothing running when a step fails.

        Raises StackError, and what provisioning raises: BusError, RegistryError.
        """
        try:
            self._hold()
            self._start_stack()
            self._start_registry()
            self._put_into_force()
            self._say(is_ready=True)
        except BaseException:
            self.stop()
            raise

    def _hold(self) -> None:
        self._holding.enter_context(held(self._folder))
        self._holding.callback(forget_state, self._folder)
        for name in end_leftovers(self._folder):
            log.warning("leftover_part_ended", part=name, folder=str(self._folder))

    def _start_stack(self) -> None:
        self._stack = Stack(self._folder, self._given)
        self._say(is_ready=False)
        self.parts = self._stack.parts
        start_together(self.parts, self._on_started)
        self._say(is_ready=False)

    def _start_registry(self) -> None:
        assert self._stack is not None
        own = RegistryService(self._folder / "registry", self._stack.ports["registry"], self._database_url)
        named = self._given.get("SCHEMA_REGISTRY_URL", "")
        is_given = named not in ("", own.url)
        registry: Part = given_registry(named) if is_given else own
        self.parts = (*self.parts, registry)
        start_together([registry], self._on_started)
        self.environment = self._settings(registry_url=named if is_given else own.url)

    def _put_into_force(self) -> None:
        try:
            provision(wire({**self._given, CLIENT_FILE: "", **self.environment}))
        except psycopg.Error as exc:
            raise StackError(
                f"the views cannot be made: {exc}", remedy="see PostgreSQL's log in the data folder"
            ) from exc

    @property
    def _database_url(self) -> str:
        assert self._stack is not None
        return self._stack.endpoints.database_url

    def _settings(self, *, registry_url: str) -> dict[str, str]:
        assert self._stack is not None
        endpoints = self._stack.endpoints
        settings = {
            "KAFKA_BOOTSTRAP": endpoints.kafka_bootstrap,
            "DATABASE_URL": endpoints.database_url,
            "SCHEMA_REGISTRY_URL": registry_url,
            "YEKBAR_DOMAIN_KEY": endpoints.domain_key,
            "YEKBAR_MODE": self._given.get("YEKBAR_MODE") or "development",
            "YEKBAR_DATA": str(self._folder),
        }
        if endpoints.kafka_client_file:
            settings[CLIENT_FILE] = endpoints.kafka_client_file
        if catalogue := self._given.get("YEKBAR_CATALOGUE"):
            settings["YEKBAR_CATALOGUE"] = str(Path(catalogue).absolute())
        return settings

    def _say(self, *, is_ready: bool) -> None:
        write_state(
            Running(
                pid=os.getpid(),
                birth=birth_of(os.getpid()) or "",
                folder=str(self._folder),
                parts=tuple(_running(part) for part in self.parts),
                environment=self.environment,
                is_ready=is_ready,
            )
        )

    def check(self) -> None:
        """Returns when every process lives. Raises PartDiedError with the last lines of its log when one does not."""
        for part in self.parts:
            if part.process is not None:
                part.process.check_alive()

    def stop(self) -> None:
        """Ends everything in order and gives the folder back; harmless when nothing runs."""
        try:
            stop_all(self.parts)
        finally:
            self.parts = ()
            self._holding.close()

    def __enter__(self) -> "WholeStack":
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _running(part: Part) -> RunningPart:
    process = part.process
    return RunningPart(
        name=part.name,
        place=part.place,
        pid=process.pid if process else None,
        log=str(process.log) if process else None,
    )
