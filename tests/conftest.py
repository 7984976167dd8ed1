import os
import secrets
import shutil
import socket
import tempfile
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import psycopg
import pytest
from hypothesis import settings

from bus.client_file import CLIENT_FILE
from deploy.local.broker_settings import write_platform_file
from deploy.local.process import free_port
from deploy.local.registry import RegistryService
from deploy.local.stack import Endpoints, Stack

settings.register_profile("yekbar", deadline=None)  # tests check truth; benchmarks measure
settings.load_profile("yekbar")

KAFKA_IMAGE = "apache/kafka:4.3.1"
POSTGRES_IMAGE = "postgres:18"
CONTAINER_START_TIMEOUT_S = 120
DOCKER_ADDRESS = "unix:///var/run/docker.sock"


def pytest_addoption(parser):
    parser.addoption(
        "--stack",
        choices=("local", "containers"),
        default="local",
        help="Where Kafka and PostgreSQL come from: child processes, or the official images on a Docker engine.",
    )
    parser.addoption("--on-demand", action="store_true", help="Run also what fetches big things, as a whole Keycloak.")


def pytest_configure(config):
    config.addinivalue_line("markers", "on_demand: fetches something big, and runs only with --on-demand")
    config.addinivalue_line("markers", "local_stack: stops and crashes parts, which only the local stack lets it do")


def pytest_collection_modifyitems(config, items):
    if not config.getoption("--on-demand"):
        for item in items:
            if item.get_closest_marker("on_demand"):
                item.add_marker(pytest.mark.skip(reason="IT FETCHES SOMETHING BIG: run it with --on-demand"))
    if config.getoption("--stack") == "local":
        return
    for item in items:
        if item.get_closest_marker("local_stack"):
            item.add_marker(pytest.mark.skip(reason="it crashes parts of the local stack: run it with --stack=local"))


@pytest.fixture(scope="session", autouse=True)
def platform_file(request, tmp_path_factory):
    """The platform's properties, named by the environment: every broker that a test starts has this password."""
    if request.config.getoption("--stack") == "containers":
        yield None
        return
    place = tmp_path_factory.mktemp("kafka") / "platform.properties"
    write_platform_file(place)
    with pytest.MonkeyPatch.context() as changing:
        changing.setenv(CLIENT_FILE, str(place))
        yield place


@pytest.fixture(scope="session")
def stack(request):
    """Kafka and PostgreSQL, the same for all tests of the run."""
    if request.config.getoption("--stack") == "containers":
        with container_stack() as running:
            yield running
        return
    with temporary_folder() as folder, Stack(folder) as running:
        yield running


@contextmanager
def temporary_folder():
    """A folder that PostgreSQL's own user reaches too, where the tests run as root."""
    folder = Path(tempfile.mkdtemp(prefix="yekbar-test-"))
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def data_folder():
    """A data folder for a stack of the test's own; its name has letters and spaces that careless code trips over."""
    with temporary_folder() as folder:
        yield folder / "a folder یک‌بار"


@pytest.fixture
def database_url(stack):
    """A fresh database for one test."""
    with fresh_database(stack) as url:
        yield url


@pytest.fixture(scope="session")
def schema_registry_url(stack):
    """The real schema registry over a database of its own, the same for all tests of the run."""
    with temporary_folder() as folder, fresh_database(stack) as url:
        registry = RegistryService(folder, free_port(), url)
        registry.start()
        try:
            yield registry.url
        finally:
            registry.stop()


@contextmanager
def fresh_database(stack):
    name = f"test_{uuid4().hex}"
    with psycopg.connect(stack.endpoints.database_url, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
    yield urlsplit(stack.endpoints.database_url)._replace(path=f"/{name}").geturl()
    with psycopg.connect(stack.endpoints.database_url, autocommit=True) as connection:
        connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@dataclass(frozen=True)
class ContainerStack:
    """The same parts from the official images."""

    endpoints: Endpoints


@contextmanager
def container_stack():
    # The reaper is an image of its own, which an engine without a registry cannot have; the containers end with us.
    os.environ.setdefault("TESTCONTAINERS_RYUK_DISABLED", "true")
    from testcontainers.community.postgres import PostgresContainer

    with ExitStack() as running:
        postgres = running.enter_context(PostgresContainer(POSTGRES_IMAGE, driver=None))
        kafka = running.enter_context(kafka_container())
        yield ContainerStack(
            Endpoints(
                kafka_bootstrap=address_of(kafka, KAFKA_PORT),
                kafka_client_file="",
                database_url=postgres.get_connection_url(),
                domain_key=secrets.token_hex(32),
            )
        )


KAFKA_PORT = 9092
KAFKA_SETTINGS = {
    "KAFKA_NODE_ID": "1",
    "KAFKA_PROCESS_ROLES": "broker,controller",
    "KAFKA_CONTROLLER_QUORUM_VOTERS": "1@localhost:9094",
    "KAFKA_CONTROLLER_LISTENER_NAMES": "CONTROLLER",
    "KAFKA_LISTENERS": f"HOST://:{KAFKA_PORT},BROKER://:9093,CONTROLLER://:9094",
    "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP": "HOST:PLAINTEXT,BROKER:PLAINTEXT,CONTROLLER:PLAINTEXT",
    "KAFKA_INTER_BROKER_LISTENER_NAME": "BROKER",
    "KAFKA_AUTO_CREATE_TOPICS_ENABLE": "false",
    "KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR": "1",
    "KAFKA_OFFSETS_TOPIC_NUM_PARTITIONS": "1",
    "KAFKA_TRANSACTION_STATE_LOG_NUM_PARTITIONS": "1",
    "KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR": "1",
    "KAFKA_TRANSACTION_STATE_LOG_MIN_ISR": "1",
    "KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS": "0",
}
# The broker must advertise the port that Docker chose, which is known once the container runs: it waits for a script.
KAFKA_SCRIPT = "/tmp/start-kafka.sh"
KAFKA_COMMAND = ["sh", "-c", f"until [ -s {KAFKA_SCRIPT} ]; do sleep 0.1; done; exec sh {KAFKA_SCRIPT}"]


@contextmanager
def kafka_container():
    from testcontainers.core.container import DockerContainer
    from testcontainers.core.wait_strategies import LogMessageWaitStrategy

    container = DockerContainer(KAFKA_IMAGE).with_exposed_ports(KAFKA_PORT).with_envs(**KAFKA_SETTINGS)
    with container.with_command(KAFKA_COMMAND):
        advertised = f"HOST://{address_of(container, KAFKA_PORT)},BROKER://localhost:9093"
        script = f"export KAFKA_ADVERTISED_LISTENERS={advertised}; exec /etc/kafka/docker/run\n"
        container.copy_into_container(script.encode(), KAFKA_SCRIPT)
        started = LogMessageWaitStrategy("Kafka Server started").with_startup_timeout(CONTAINER_START_TIMEOUT_S)
        started.wait_until_ready(container)
        yield container


def address_of(container, port):
    return f"{container.get_container_host_ip()}:{container.get_exposed_port(port)}"


@pytest.fixture(scope="session")
def docker_images():
    """The names of the images that a Docker engine of this machine has; a test that needs one skips without it."""
    address = os.environ.get("DOCKER_HOST", DOCKER_ADDRESS)
    if not listens(address):
        pytest.skip(f"NO DOCKER ENGINE ANSWERS at {address}, so nothing is tested on the official images")
    from docker import DockerClient

    with closing(DockerClient(base_url=address, timeout=10)) as engine:
        return frozenset(tag for image in engine.images.list() for tag in image.tags)


def listens(address):
    """Asked by a plain socket: Docker's own client leaves a socket open where nothing answers."""
    place = urlsplit(address)
    family, target = (
        (socket.AF_UNIX, place.path) if place.scheme == "unix" else (socket.AF_INET, (place.hostname, place.port))
    )
    with socket.socket(family) as probe:
        return probe.connect_ex(target) == 0


@pytest.fixture(scope="session")
def containers(request, docker_images):
    """Kafka and PostgreSQL from the official images, fetched only where `--stack=containers` asks for it."""
    if request.config.getoption("--stack") == "containers":
        yield request.getfixturevalue("stack")
        return
    if missing := {KAFKA_IMAGE, POSTGRES_IMAGE} - docker_images:
        pytest.skip(
            f"THE DOCKER ENGINE HAS NO {' AND NO '.join(sorted(missing))}: 'docker pull', or --stack=containers"
        )
    with container_stack() as running:
        yield running
