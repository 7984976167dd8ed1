import json
import os
import secrets
import subprocess
import urllib.request
from pathlib import Path

import pytest

from deploy.local.process import free_ports

ROOT = Path(__file__).parents[2]
PORTS = ("KAFKA_PORT", "POSTGRES_PORT", "REGISTRY_PORT", "EVIDENCE_PORT")
PROXY_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")


@pytest.fixture
def compose(request, docker_images):
    if request.config.getoption("--stack") != "containers":
        pytest.skip(f"IT BUILDS AN IMAGE, so it runs only with --stack=containers ({len(docker_images)} images here)")
    settings = {name: str(port) for name, port in zip(PORTS, free_ports(len(PORTS)), strict=True)}
    settings |= {"POSTGRES_PASSWORD": secrets.token_hex(16), "YEKBAR_DOMAIN_KEY": secrets.token_hex(32)}
    settings["KAFKA_PASSWORD"] = secrets.token_hex(24)
    settings["CA_BUNDLE"] = str(PROXY_CERTIFICATES if PROXY_CERTIFICATES.exists() else Path("/dev/null"))
    command = ["docker", "compose", "--file", ROOT / "deploy" / "compose.yaml"]
    command += ["--project-name", f"yekbar-test-{os.getpid()}"]

    def run(*words):
        done = subprocess.run(
            [*command, *words], env={**os.environ, **settings}, capture_output=True, encoding="utf-8", check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    try:
        run("build")
        run("up", "--wait", "--no-build")
        yield run, settings
    finally:
        run("down", "--volumes", "--timeout", "5")


def test_the_composed_stack_serves_schemas_and_evidence_and_keeps_its_views_read(compose):
    run, settings = compose

    subjects = json.load(urllib.request.urlopen(f"http://127.0.0.1:{settings['REGISTRY_PORT']}/subjects"))
    page = urllib.request.urlopen(f"http://127.0.0.1:{settings['EVIDENCE_PORT']}/")
    status = json.loads(run("exec", "--no-TTY", "materializer", "yekbar", "status", "--json"))

    assert len(subjects) == len(status["views"])
    assert page.status == 200
    assert {one["lag_events"] for one in status["views"]} == {0}
