import json
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from urllib.request import urlopen
from uuid import uuid4

import pytest
from typer.testing import CliRunner

from bus.envelope import ChangeKind
from bus.metrics import exposition
from deploy.cli.publish import app as publish_app
from deploy.cli.quality import app
from deploy.local.process import free_port
from deploy.provision import provision
from deploy.wiring import wire
from producers.change import Change
from producers.journal_file import SqliteJournal
from producers.publisher import Publisher

START = datetime(2026, 1, 1, tzinfo=UTC)
TIMEOUT_S = 60
KNOWN, STRANGER = "0000000019", "0000000027"
CONTRACT = """\
title: {{en: Holding, fa: دارایی}}
freshness: P1D
heartbeat: PT1H
fields:
  word: {{title: {{en: Word, fa: واژه}}, classification: personal}}
{rules}"""
RULES = """\
rules:
  word-short: {{field: word, check: "length(word) < 5", severity: flag}}
  person-known: {{field: word, known_in: {register}, severity: flag}}
"""
BODY = {"type": "record", "fields": [{"name": "word", "type": "string", "doc": "A word."}]}


@pytest.fixture
def wiring(stack, database_url, schema_registry_url, tmp_path, monkeypatch):
    """A nation of two agencies, of which one must know the persons of the other; provisioned."""
    mark = uuid4().hex[:8]
    register, own = f"civil-{mark}", f"tax-{mark}"
    files = {
        "nation.yaml": "title: {en: Nation, fa: کشور}\nnational_id_scheme: digits\n",
        "agencies.yaml": "".join(f"{one}:\n  title: {{en: {one}, fa: سازمان}}\n" for one in (register, own)),
        f"records/{register}/identity.yaml": CONTRACT.format(rules=""),
        f"records/{register}/identity.avsc": json.dumps({**BODY, "name": "Identity"}),
        f"records/{own}/status.yaml": CONTRACT.format(rules=RULES.format(register=f"{register}.identity")),
        f"records/{own}/status.avsc": json.dumps({**BODY, "name": "Status"}),
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    settings = {
        "KAFKA_BOOTSTRAP": stack.endpoints.kafka_bootstrap,
        "DATABASE_URL": database_url,
        "SCHEMA_REGISTRY_URL": schema_registry_url,
        "YEKBAR_DOMAIN_KEY": stack.endpoints.domain_key,
        "YEKBAR_CATALOGUE": str(tmp_path),
        "COLUMNS": "200",
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    made = wire()
    provision(made)
    return made


def publish(wiring, tmp_path, agency, *said):
    """Publishes a word about each person."""
    record_type = next(one for one in wiring.catalogue.record_types.values() if one.agency.startswith(agency))
    publisher = Publisher(
        record_type,
        source=f"{record_type.id}/one",
        kafka=wiring.kafka,
        registry=wiring.registry,
        pseudonymizer=wiring.pseudonymizer,
        journal=SqliteJournal(tmp_path / f"{agency}.journal"),
    )
    with publisher:
        for national_id, word in said:
            publisher.publish(
                Change(
                    national_id=national_id,
                    change_kind=ChangeKind.CREATED,
                    effective_from=START,
                    recorded_at=START,
                    body={"word": word},
                )
            )
    return record_type


def materialize(*words):
    command = [sys.executable, "-m", "deploy.cli.main", "materialize", *words]
    return subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8", env=os.environ)


def quality(*words):
    done = CliRunner().invoke(app, list(words), catch_exceptions=False)
    assert done.exit_code == 0
    return done.stdout


def test_findings_are_listed_by_agency_rule_and_age_without_anybody_s_words(wiring, tmp_path):
    publish(wiring, tmp_path, "civil", (KNOWN, "الف"))
    own = publish(wiring, tmp_path, "tax", (KNOWN, "کوتاه"), (STRANGER, "بیگانه‌ای"))
    with materialize("--until-caught-up", "--trace") as done:
        _, logged = done.communicate(timeout=TIMEOUT_S)
    assert done.returncode == 0, logged

    by_rule = json.loads(quality("--json"))
    table = quality("--agency", own.agency, "--open")
    events = quality("--events", "--rule", "person-known")
    nothing = quality("--agency", "another")

    assert {(one["record_type"], one["rule"], one["found"], one["open"]) for one in by_rule} == {
        (own.id, "word-short", 2, 2),
        (own.id, "person-known", 1, 1),
    }
    assert "word-short" in table
    assert "s ago" in table
    assert "open" in events
    assert nothing == "findings: none\n"
    assert not any(word in text for word in ("بیگانه", STRANGER) for text in (table, events, logged))
    steps = [json.loads(line)["step"] for line in logged.splitlines() if '"event_traced"' in line]
    assert steps[:3] == ["consumed", "checked", "encoded"]
    assert {"taken by the writer", "applied", "committed"} <= set(steps)


def scraped(port, path="metrics"):
    try:
        with urlopen(f"http://127.0.0.1:{port}/{path}", timeout=10) as answer:
            return answer.read().decode()
    except OSError:
        return ""


def test_a_materializer_serves_its_metrics_and_its_health(wiring, tmp_path):
    publish(wiring, tmp_path, "civil", (KNOWN, "الف"))
    own = publish(wiring, tmp_path, "tax", (KNOWN, "بسیار بلند"), (STRANGER, "ب"))
    port = free_port()
    wanted = [
        f'yekbar_materializer_events_total{{outcome="applied",record_type="{own.id}"}} 2.0',
        f'yekbar_materializer_findings_total{{record_type="{own.id}"}} 1.0',
        f'yekbar_view_lag_events{{record_type="{own.id}"}} 0.0',
        f'yekbar_quality_open_findings{{agency="{own.agency}",record_type="{own.id}",rule="person-known"}} 1.0',
        'yekbar_materializer_step_duration_seconds_count{step="commit"}',
        "yekbar_materializer_batch_events_count",
        "yekbar_status_up 1.0",
    ]

    with materialize("--workers", "2", "--metrics-port", str(port)) as running:
        deadline = time.monotonic() + TIMEOUT_S
        while not all(one in (told := scraped(port)) for one in wanted) and time.monotonic() < deadline:
            time.sleep(0.1)
        health = scraped(port, "healthz")
        running.send_signal(signal.SIGTERM)
        _, logged = running.communicate(timeout=TIMEOUT_S)

    assert [one for one in wanted if one not in told] == [], logged
    assert health == "ok\n"
    assert running.returncode == 0
    assert KNOWN not in told


def test_the_desk_says_which_rules_doubt_what_it_takes_and_counts_it(wiring, tmp_path, monkeypatch):
    monkeypatch.setenv("YEKBAR_DATA", str(tmp_path))
    own = next(str(one.id) for one in wiring.catalogue.record_types.values() if one.rules)
    file = tmp_path / "rows.csv"
    words = ["الف", "بسیار بلند", "بسیار بسیار بلند"]
    rows = [f"{KNOWN},created,2026-01-0{day}T00:00:00Z,{word}" for day, word in enumerate(words, 1)]
    file.write_text("\n".join(["national_id,change_kind,effective_from,word", *rows]), encoding="utf-8")

    looked = CliRunner().invoke(publish_app, [own, str(file), "--dry-run"], catch_exceptions=False)
    done = CliRunner().invoke(publish_app, [own, str(file), "--json"], catch_exceptions=False)

    assert "but taken: 2 by 'word-short'" in looked.stdout
    assert json.loads(done.stdout)["flagged"] == {"word-short": 2}
    told = exposition().decode()
    assert f'yekbar_desk_flagged_events_total{{record_type="{own}",rule="word-short"}} 2.0' in told
    assert f'yekbar_desk_accepted_events_total{{record_type="{own}"}} 3.0' in told
