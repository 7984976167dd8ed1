import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from captured_table import CapturedTable, Recorded

import schemas

YEKBAR = [sys.executable, "-m", "deploy.cli.main"]
RECORDED = Recorded(Path(__file__).with_name("recorded.json"))
POST = Path(schemas.__file__).parent / "records" / "post"


@pytest.fixture
def table(stack, tmp_path):
    return CapturedTable(stack.endpoints, tmp_path)


@pytest.fixture
def command(table, stack, schema_registry_url, tmp_path):
    """Runs the command over a catalogue that has the table's record type alone."""
    agency = table.record_type.agency
    catalogue = tmp_path / "catalogue"
    (catalogue / "records" / agency).mkdir(parents=True)
    (catalogue / "nation.yaml").write_text("title: {en: Land, fa: سرزمین}\nnational_id_scheme: iran\n")
    (catalogue / "agencies.yaml").write_text(f"{agency}:\n  title: {{en: Post, fa: پست}}\n")
    for part in POST.iterdir():
        text = part.read_text(encoding="utf-8").replace('"namespace": "post",', "")
        (catalogue / "records" / agency / part.name).write_text(text, encoding="utf-8")
    mapping = tmp_path / "addresses.yaml"
    said = table.mapping.model_dump(include={"record_type", "table"}, mode="json")
    fields = {name: one.model_dump(exclude_defaults=True, mode="json") for name, one in table.mapping.fields.items()}
    mapping.write_text(yaml.safe_dump({**said, "fields": fields}, allow_unicode=True), encoding="utf-8")
    environment = {
        **os.environ,
        "KAFKA_BOOTSTRAP": stack.endpoints.kafka_bootstrap,
        "DATABASE_URL": stack.endpoints.database_url,
        "SCHEMA_REGISTRY_URL": schema_registry_url,
        "YEKBAR_DOMAIN_KEY": stack.endpoints.domain_key,
        "YEKBAR_CATALOGUE": str(catalogue),
        "YEKBAR_DATA": str(tmp_path / "data"),
    }

    def run(*words):
        return subprocess.run(
            [*YEKBAR, "sync", str(mapping), "--from-topic", table.topic, *words],
            env=environment,
            capture_output=True,
            encoding="utf-8",
            timeout=120,
            check=False,
        )

    return run


def test_the_command_reads_a_topic_to_its_end_and_goes_on_there_the_next_time(table, command):
    messages = list(RECORDED.with_schemas())
    table.send(messages[:4])
    first = command("--once", "--json")
    table.send(messages[4:])

    second = command("--once")

    assert first.returncode == 0, first.stderr
    told = json.loads(first.stdout)
    assert (told["source"], told["created"], told["corrected"]) == (f"{table.record_type.id}/capture", 3, 1)
    assert second.returncode == 0, second.stderr
    assert "what changed" in second.stdout
    assert len(table.kinds()) == 8


def test_what_cannot_go_on_by_itself_is_told_with_what_to_do(table, command):
    table.send([({"id": 1}, {"id": 1, "city": "قم"})])

    stopped = command("--once")

    assert stopped.returncode == 65
    assert "no 'op'" in stopped.stderr
    assert "ExtractNewRecordState" in stopped.stderr
