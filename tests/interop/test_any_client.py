"""Clients that have nothing of ours publish, and what they say becomes evidence."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from uuid import uuid4

import confluent_kafka
import httpx2
import psycopg
import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.cimpl import NewTopic

import schemas
from bus.client_file import CLIENT_FILE, read_client_file
from bus.envelope import EventIdMaker
from bus.kafka import admin, consumer, kafka_connection, producer
from bus.national_id import iran_check_digit
from bus.subject import Pseudonymizer
from consumers.quarantine import list_entries
from deploy.local.errors import StackError
from deploy.local.jars import fetch_jars, jar_folder, locked_jars, read_lock
from deploy.local.process import free_port
from deploy.provision import RECORD_PARTITIONS
from deploy.topic_page.facts import CLIENT_SETTINGS, KEY_ENDS, MESSAGE_ENDS
from registry.catalogue import load_catalogue

HERE = Path(__file__).parent
SHIPPED = Path(schemas.__file__).parent
YEKBAR = [sys.executable, "-m", "deploy.cli.main"]
PAGES_PERSON = "0012345679"
DEADLINE_S = 120


def person(number):
    nine = f"{number + 200_000_000:09}"
    return nine + str(iran_check_digit(nine))


class Nation:
    """A nation of one agency that keeps life statuses and asks for them, on the real stack."""

    def __init__(self, folder, stack, registry_url, database_url):
        self.agency = f"registry-{uuid4().hex[:8]}"
        self.record_type = f"{self.agency}.life-status"
        self.topic = f"records.{self.record_type}"
        self.folder = folder
        self.database_url = database_url
        self.bootstrap = stack.endpoints.kafka_bootstrap
        self.kafka = kafka_connection(self.bootstrap)
        self.pseudonymizer = Pseudonymizer(bytes.fromhex(stack.endpoints.domain_key), "iran")
        self.environment = {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "KAFKA_BOOTSTRAP": self.bootstrap,
            "DATABASE_URL": database_url,
            "SCHEMA_REGISTRY_URL": registry_url,
            "YEKBAR_DOMAIN_KEY": stack.endpoints.domain_key,
            "YEKBAR_MODE": "development",
            "YEKBAR_CATALOGUE": str(self._catalogue(folder / "catalogue")),
            "YEKBAR_DATA": str(folder / "data"),
            "YEKBAR_EVIDENCE_URL": f"http://127.0.0.1:{free_port()}",
            "COLUMNS": "160",
            "LD_LIBRARY_PATH": str(modern_librdkafka(folder / "lib")),
        }
        self.yekbar("catalogue", "apply")

    def _catalogue(self, place):
        def written(name, text):
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            (place / name).write_text(text.replace("civil-registry", self.agency), encoding="utf-8")

        written("nation.yaml", "title: {en: Land, fa: سرزمین}\nnational_id_scheme: iran\n")
        written("agencies.yaml", f"{self.agency}:\n  title: {{en: Registry, fa: ثبت}}\n")
        for part in ("life-status.yaml", "life-status.avsc"):
            text = (SHIPPED / "records" / "civil-registry" / part).read_text(encoding="utf-8")
            written(f"records/{self.agency}/{part}", text.replace('"namespace": "civil_registry",', ""))
        written("evidence/life-status.yaml", (SHIPPED / "evidence" / "life-status.yaml").read_text(encoding="utf-8"))
        written(
            "procedures/passport.yaml",
            f"title: {{en: Passport, fa: گذرنامه}}\nagency: {self.agency}\nlegal_basis: an act\nrequirements:\n"
            "  alive:\n    title: {en: Alive, fa: زنده}\n    evidence:\n      - [life-status]\n",
        )
        written(
            f"agreements/{self.agency}/passport.life-status.yaml",
            f"provider: {self.agency}\nevidence_type: life-status\nprocedure: passport\npurpose: issue a passport\n"
            "legal_basis: an act\nclaims: [alive]\nage_max: P90D\npersons_per_hour: 1000\nvalid_from: 2024-01-01\n"
            "valid_until: 2034-01-01\ndemands_case_reference: false\ndemands_acting_user: false\n"
            "accepted_by_provider: true\naccepted_by_requester: true\n",
        )
        load_catalogue(place)
        return place

    def yekbar(self, *words, stdin=None):
        return self.run([*YEKBAR, *words], stdin=stdin)

    def run(self, command, *, stdin=None, shell=False):
        done = subprocess.run(
            command,
            env=self.environment,
            cwd=self.folder,
            input=stdin,
            capture_output=True,
            timeout=DEADLINE_S,
            check=False,
            shell=shell,
            executable="/bin/bash" if shell else None,
        )
        assert done.returncode == 0, done.stderr.decode() + done.stdout.decode()
        return done.stdout.decode()

    def materialize(self):
        """Brings the log into the views; gives the positions, and the sequences of each source."""
        self.yekbar("materialize", "--until-caught-up")
        with psycopg.connect(self.database_url) as connection:
            assert list(list_entries(connection)) == []
            return connection.execute(
                f'SELECT subject, partition, position, voided_by, status FROM "{self.record_type}".facts'
            ).fetchall()

    def messages(self, topic):
        """Every message of a topic with so many partitions as record types have."""
        reader = consumer(self.kafka, group=f"test-{uuid4().hex}")
        places = [TopicPartition(topic, number, 0) for number in range(RECORD_PARTITIONS)]
        wanted = sum(reader.get_watermark_offsets(place, 10)[1] for place in places)
        reader.assign(places)
        messages = []
        while len(messages) < wanted:
            messages += reader.consume(wanted - len(messages), 30)
        reader.close()
        return messages

    def answer(self, national_id):
        """What the evidence API says of a person."""
        with subprocess.Popen(
            [*YEKBAR, "serve", "--port", self.environment["YEKBAR_EVIDENCE_URL"].rpartition(":")[2]],
            env=self.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ) as serving:
            try:
                deadline = time.monotonic() + DEADLINE_S
                while not is_answering(self.environment["YEKBAR_EVIDENCE_URL"]):
                    assert serving.poll() is None
                    assert time.monotonic() < deadline
                    time.sleep(0.1)
                return json.loads(self.yekbar("evidence", "passport", "-", "--json", stdin=f"{national_id}\n".encode()))
            finally:
                serving.terminate()


def is_answering(url):
    try:
        return httpx2.get(f"{url}/v1/procedures").status_code == 200
    except httpx2.HTTPError:
        return False


def modern_librdkafka(folder):
    """A folder with our own client's library: Debian's has a SCRAM that brokers of Kafka 4 refuse."""
    folder.mkdir()
    for library in Path(confluent_kafka.__file__).parents[1].glob("confluent_kafka.libs/librdkafka*.so.1"):
        (folder / "librdkafka.so.1").symlink_to(library)
    return folder


@pytest.fixture
def nation(stack, schema_registry_url, database_url, tmp_path):
    return Nation(tmp_path, stack, schema_registry_url, database_url)


@pytest.fixture(scope="session")
def kcat():
    if shutil.which("kcat") is None:
        pytest.skip("THERE IS NO kcat ON THIS MACHINE ('apt-get install kcat'), so no foreign client was tried")
    return ["kcat"]


@pytest.fixture(scope="session")
def java():
    """The Java command with the plain client's class path."""
    if shutil.which("java") is None or shutil.which("javac") is None:
        pytest.skip(
            "THERE IS NO JDK ON THIS MACHINE ('apt-get install default-jdk-headless'): no Java client was tried"
        )
    try:
        jars = fetch_jars([*locked_jars(), *read_lock(HERE / "clients.lock")], jar_folder())
    except StackError as exc:
        pytest.skip(f"AVRO FOR JAVA CANNOT BE FETCHED, so no Java client was tried: {exc}")
    return ["java", "-cp", os.pathsep.join(map(str, jars)), str(HERE / "Publish.java")]


def java_properties(nation):
    """The client file in the Java client's words."""
    said = read_client_file(Path(os.environ[CLIENT_FILE])) if os.environ.get(CLIENT_FILE) else {}
    lines = [f"bootstrap.servers={nation.bootstrap}"]
    if said:
        login = "org.apache.kafka.common.security.scram.ScramLoginModule required"
        user = f'username="{said["sasl.username"]}" password="{said["sasl.password"]}"'
        lines += [f"{name}={said[name]}" for name in ("security.protocol", "sasl.mechanism")]
        lines.append(f"sasl.jaas.config={login} {user};")
    place = nation.folder / "client.properties"
    place.write_text("\n".join(lines))
    return str(place)


def by_java(java, nation, lines):
    """Publishes life statuses: the partition and offset of each."""
    text = "".join(f"{event_id} {sequence} {national_id}\n" for event_id, sequence, national_id in lines)
    command = [*java, java_properties(nation), nation.topic, f"{nation.record_type}/java"]
    return [tuple(map(int, line.split())) for line in nation.run(command, stdin=text.encode()).splitlines()]


@pytest.mark.usefixtures("kcat")
def test_the_pages_own_example_becomes_evidence_as_it_is_typed(nation):
    facts = json.loads(nation.yekbar("catalogue", "show", nation.record_type, "--topic", "--json"))
    (nation.folder / "client.py").write_text(facts["example"]["client.py"], encoding="utf-8")
    assert facts["example"]["client.py"].rstrip() in nation.yekbar(
        "catalogue", "show", nation.record_type, "--topic", "--markdown"
    )

    for command in facts["example"]["commands"]:
        nation.run(command, shell=True)

    ((subject, *_, status),) = nation.materialize()
    assert subject == nation.pseudonymizer.subject(PAGES_PERSON)
    assert status == "alive"
    answer = nation.answer(PAGES_PERSON)
    (requirement,) = answer["requirements"]
    (piece,) = requirement["evidence"]
    assert (requirement["status"], piece["claims"], piece["provider"]) == ("met", {"alive": True}, nation.agency)
    assert piece["effective_from"].startswith("2026-01-31")
    assert piece["freshness"]["missing_events"] == 0


def test_a_plain_java_program_publishes_what_becomes_evidence_and_a_repeat_is_applied_once(nation, kcat, java):
    make_id = EventIdMaker()
    lines = [(make_id(), number, person(number)) for number in range(1, 41)]
    keys = [nation.pseudonymizer.subject(one).bytes for _, _, one in lines]

    places = by_java(java, nation, [*lines, lines[-1]])

    rows = nation.materialize()
    assert {(row[0].bytes, *row[1:3]) for row in rows} == {(key, *at) for key, at in zip(keys, places, strict=False)}
    (requirement,) = nation.answer(person(2))["requirements"]
    assert requirement["evidence"][0]["claims"] == {"alive": True}
    said = {key: partition for key, (partition, _) in zip(keys, places, strict=False)}
    assert said == partitions_of(nation, keys, by_ourselves) == partitions_of(nation, keys, by_kcat(kcat))
    assert len(set(said.values())) == RECORD_PARTITIONS


def partitions_of(nation, keys, send):
    """Where a client sends keys, in a topic of its own."""
    topic = f"partitions-{uuid4().hex[:8]}"
    client = admin(nation.kafka)
    for made in client.create_topics([NewTopic(topic, RECORD_PARTITIONS, 1)]).values():
        made.result(30)
    send(nation, topic, keys)
    return {message.key(): message.partition() for message in nation.messages(topic)}


def by_ourselves(nation, topic, keys):
    ours = producer(nation.kafka)
    for key in keys:
        ours.produce(topic, key=key, value=b"value")
    assert ours.flush(30) == 0


def by_kcat(kcat):
    settings = [word for name, value in CLIENT_SETTINGS.items() for word in ("-X", f"{name}={value}")]

    def send(nation, topic, keys):
        client = ["-F", os.environ.get(CLIENT_FILE) or "/dev/null", "-b", nation.bootstrap, *settings]
        lines = b"".join(key + KEY_ENDS.encode() + b"value" + MESSAGE_ENDS.encode() for key in keys)
        nation.run([*kcat, "-P", *client, "-K", KEY_ENDS, "-D", MESSAGE_ENDS, "-t", topic], stdin=lines)

    return send
