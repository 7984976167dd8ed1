"""What a broker's folder says before it starts: its settings, and the platform's name and password.

It lets nobody in who has no name: clients come with SCRAM, the platform's name may do everything, and every other name
may do what access rules say. The controller's listener has a secret of its own. The platform may come with PLAIN too,
for kcat: librdkafka before 2.6.1, which distributions ship it with, cannot do SCRAM with Kafka 4.
"""

import os
import secrets
from collections.abc import Mapping
from pathlib import Path

from bus.client_file import CLIENT_FILE, read_client_file, write_client_file
from bus.errors import SettingError

PLATFORM = "yekbar"
LOGGING_FILE = "log4j2.properties"
SETTINGS_FILE = "server.properties"
KCAT_FILE = "kcat.properties"
SCRAM = "SCRAM-SHA-512"
_SECRET_BYTES = 24

_PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller_port}
listeners=CLIENT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}
advertised.listeners=CLIENT://127.0.0.1:{port}
listener.security.protocol.map=CLIENT:SASL_PLAINTEXT,CONTROLLER:SASL_PLAINTEXT
controller.listener.names=CONTROLLER
inter.broker.listener.name=CLIENT
sasl.enabled.mechanisms=SCRAM-SHA-512,PLAIN
sasl.mechanism.inter.broker.protocol=SCRAM-SHA-512
sasl.mechanism.controller.protocol=PLAIN
listener.name.client.scram-sha-512.sasl.jaas.config={scram} required username="{platform}" password="{password}";
listener.name.client.plain.sasl.jaas.config={plain} required user_{platform}="{password}";
listener.name.controller.sasl.enabled.mechanisms=PLAIN
listener.name.controller.plain.sasl.jaas.config={plain} required \
  username="controller" password="{controller}" user_controller="{controller}";
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
allow.everyone.if.no.acl.found=false
super.users=User:{platform};User:controller
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

_MODULES = {
    "scram": "org.apache.kafka.common.security.scram.ScramLoginModule",
    "plain": "org.apache.kafka.common.security.plain.PlainLoginModule",
}

_LOGGING = """\
rootLogger.level=info
rootLogger.appenderRef.console.ref=console
appender.console.type=Console
appender.console.name=console
appender.console.layout.type=PatternLayout
appender.console.layout.pattern=%d{ISO8601} %p %c{1}: %m%n
"""


def write_settings(folder: Path, *, client_port: int, controller_port: int, password: str) -> None:
    """Writes all that the broker reads at its start."""
    (folder / LOGGING_FILE).write_text(_LOGGING)
    written = _PROPERTIES.format(
        port=client_port,
        controller_port=controller_port,
        platform=PLATFORM,
        password=password,
        controller=secrets.token_urlsafe(_SECRET_BYTES),
        **_MODULES,
    )
    write_secret(folder / SETTINGS_FILE, written)


def write_kcat_file(place: Path, password: str) -> None:
    """Writes what KCAT_CONFIG names, for the platform."""
    properties = {**scram_properties(PLATFORM, password), "sasl.mechanism": "PLAIN"}
    write_secret(place, "".join(f"{name}={value}\n" for name, value in properties.items()))


def write_platform_file(place: Path) -> None:
    """Writes the platform's properties, with a new password or with that of the environment's client file."""
    password = _earlier_password(os.environ) or secrets.token_urlsafe(_SECRET_BYTES)
    write_client_file(place, scram_properties(PLATFORM, password))


def scram_properties(name: str, password: str) -> Mapping[str, str]:
    """What a client of the local broker says."""
    return {
        "security.protocol": "SASL_PLAINTEXT",
        "sasl.mechanism": SCRAM,
        "sasl.username": name,
        "sasl.password": password,
    }


def write_secret(place: Path, content: str) -> None:
    """Writes a file for its owner's eyes only."""
    place.unlink(missing_ok=True)
    place.touch(mode=0o600)
    place.write_text(content, encoding="utf-8")


def _earlier_password(environment: Mapping[str, str]) -> str | None:
    """The platform's password in the client file that the environment names, where there is one."""
    try:
        properties = read_client_file(Path(environment.get(CLIENT_FILE, "")))
    except SettingError:
        return None
    return properties.get("sasl.password") if properties.get("sasl.username") == PLATFORM else None
