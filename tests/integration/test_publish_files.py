import csv
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from uuid import uuid4

import polars as pl
import pytest
from confluent_kafka import TopicPartition

import schemas
from bus.columns import Decoder
from bus.kafka import admin, consumer, kafka_connection
from bus.national_id import iran_check_digit
from bus.topics import records_topic
from deploy.provision import create_topics
from registry.catalogue import load_catalogue
from registry.composition import event_schema

YEKBAR = [sys.executable, "-m", "deploy.cli.main"]
SHIPPED = Path(schemas.__file__).parent
REFUSED = 65
TIMEOUT_S = 120


def person(number):
    nine = f"{number + 100_000_000:09}"
    return nine + str(iran_check_digit(nine))


class Desk:
    """An agency's desk: a catalogue with one record type of its own, a folder for its files, and the command."""

    def __init__(self, folder, stack, registry_url):
        agency = f"post-{uuid4().hex[:8]}"
        catalogue = folder / "catalogue"
        (catalogue / "records" / agency).mkdir(parents=True)
        shutil.copy(SHIPPED / "nation.yaml", catalogue)
        (catalogue / "agencies.yaml").write_text(f"{agency}:\n  title: {{en: Post, fa: پست}}\n", encoding="utf-8")
        for part in (SHIPPED / "records" / "post").iterdir():
            text = part.read_text(encoding="utf-8").replace('"namespace": "post",', "")
            (catalogue / "records" / agency / part.name).write_text(text, encoding="utf-8")
        self.folder = folder
        self.kafka = kafka_connection(stack.endpoints.kafka_bootstrap)
        self.record_type = load_catalogue(catalogue).record_types[f"{agency}.registered-address"]
        create_topics(self.kafka, [self.record_type])
        self.environment = {
            **os.environ,
            "KAFKA_BOOTSTRAP": stack.endpoints.kafka_bootstrap,
            "DATABASE_URL": stack.endpoints.database_url,
            "SCHEMA_REGISTRY_URL": registry_url,
            "YEKBAR_DOMAIN_KEY": stack.endpoints.domain_key,
            "YEKBAR_CATALOGUE": str(catalogue),
            "YEKBAR_DATA": str(folder / "data"),
        }

    def run(self, *words):
        return subprocess.run(
            [*YEKBAR, "publish", self.record_type.id, *map(str, words)],
            env=self.environment,
            capture_output=True,
            encoding="utf-8",
            timeout=TIMEOUT_S,
            check=False,
        )

    def facts(self, *words):
        done = self.run(*words, "--json")
        assert done.returncode in (0, REFUSED), done.stderr
        told = json.loads(done.stdout)
        (one,) = told["files"]
        return one, told

    def start(self, *words):
        return subprocess.Popen(
            [*YEKBAR, "publish", self.record_type.id, *map(str, words)],
            env=self.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def write(self, name, rows):
        """A CSV file of addresses; a row is a person's number, or that and what else it says."""
        path = self.folder / name
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(address(0)))
            writer.writeheader()
            writer.writerows(rows)
        return path

    def events(self):
        topic = records_topic(self.record_type.id)
        reader = consumer(self.kafka, group="reading", **{"enable.partition.eof": True})
        partitions = len(admin(self.kafka).list_topics(topic, timeout=30).topics[topic].partitions)
        reader.assign([TopicPartition(topic, partition, 0) for partition in range(partitions)])
        values, ended = [], set()
        deadline = time.monotonic() + 60
        while len(ended) < partitions:
            assert time.monotonic() < deadline
            for message in reader.consume(5_000, timeout=1):
                if message.error() is None:
                    values.append(message.value())
                else:
                    ended.add(message.partition())
        reader.close()
        if not values:
            return pl.DataFrame(schema=Decoder(1, event_schema(self.record_type)).columns)
        decoded = Decoder(int.from_bytes(values[0][1:5]), event_schema(self.record_type)).decode(values)
        assert decoded.malformed == []
        return decoded.frame.sort("sequence")


def address(number, **changes):
    said = {
        "national_id": person(number),
        "change_kind": "created",
        "effective_from": "2024-01-01",
        "postal_code": f"{1_000_000_000 + number}",
        "province": "تهران",
        "city": "ری",
        "street": "",
    }
    return {**said, **changes}


@pytest.fixture
def desk(tmp_path, stack, schema_registry_url):
    return Desk(tmp_path, stack, schema_registry_url)


def test_a_file_is_published_once_however_often_it_is_run(desk):
    path = desk.write("a.csv", [address(number) for number in range(500)])

    first, told = desk.facts(path)
    again, _ = desk.facts(path)

    assert first == {"file": str(path), "rows": 500, "published": 500, "repeated": 0, "refused": 0}
    assert (again["published"], again["repeated"]) == (0, 500)
    assert told["report"] is None
    events = desk.events()
    assert events["sequence"].to_list() == list(range(1, 501))
    assert events["postal_code"].to_list() == [f"{1_000_000_000 + number}" for number in range(500)]
    assert events["source"].unique().to_list() == [f"{desk.record_type.id}/file"]
    assert events["street"].null_count() == 500


def test_refused_rows_are_told_with_line_field_and_reason_and_the_good_ones_go_on(desk):
    rows = [
        address(0),
        address(1, national_id="0499370898"),
        address(2, effective_from="soon"),
        address(3, city=" "),
        address(4, change_kind="moved"),
        address(5, postal_code=""),
        address(6),
    ]
    path = desk.write("a.csv", rows)
    with path.open("a", encoding="utf-8") as file:
        file.write("too,short\n")

    done = desk.run(path)

    assert done.returncode == REFUSED
    assert str(path) + ".refused.csv" in done.stdout
    with (desk.folder / "a.csv.refused.csv").open(encoding="utf-8") as report:
        told = [(int(r["line"]), r["field"], r["value_class"], r["reason"], r["rule"]) for r in csv.DictReader(report)]
    assert told == [
        (3, "national_id", "digits, length 10", "invalid-national-id", ""),
        (4, "effective_from", "letters, length 4", "invalid-field", ""),
        (5, "city", "blank", "quality-rule", "city-present"),
        (6, "change_kind", "letters, length 5", "invalid-field", ""),
        (7, "postal_code", "nothing", "invalid-field", ""),
        (9, "line", "2 fields, not 7", "invalid-field", ""),
    ]
    assert desk.events()["postal_code"].to_list() == ["1000000000", "1000000006"]


def test_no_persons_data_is_told(desk):
    path = desk.write("a.csv", [address(1, national_id="0499370898", city=" ", street="SECRET")])

    done = desk.run(path)

    told = done.stdout + done.stderr + (desk.folder / "a.csv.refused.csv").read_text(encoding="utf-8")
    assert "0499370898" not in told
    assert "SECRET" not in told


def test_a_corrected_file_sends_what_was_refused_and_nothing_else(desk):
    rows = [address(number) for number in range(20)]
    desk.facts(desk.write("a.csv", [*rows[:10], address(10, city=""), *rows[11:]]))

    done, _ = desk.facts(desk.write("a.csv", rows))

    assert (done["published"], done["repeated"], done["refused"]) == (1, 19, 0)
    assert not (desk.folder / "a.csv.refused.csv").exists()


def test_a_dry_run_checks_and_sends_nothing(desk):
    path = desk.write("a.csv", [address(1), address(2, city=""), address(1)])

    done, told = desk.facts(path, "--dry-run")

    assert told["dry_run"] is True
    assert (done["published"], done["repeated"], done["refused"]) == (1, 1, 1)
    assert desk.events().height == 0


def test_all_or_nothing_sends_nothing_when_one_row_is_refused(desk):
    good, bad = desk.write("good.csv", [address(1)]), desk.write("bad.csv", [address(2), address(3, city="")])

    refusing = desk.run(good, bad, "--all-or-nothing")
    sent_before = desk.events().height
    accepting, _ = desk.facts(good, "--all-or-nothing")

    assert (refusing.returncode, sent_before) == (REFUSED, 0)
    assert accepting["published"] == 1


@pytest.mark.parametrize("kind", ["jsonl", "parquet", "windows-1256", "utf-16"])
def test_every_format_and_encoding_says_the_same(desk, kind):
    rows = [address(number, street=None) for number in range(3)]
    frame = pl.DataFrame(rows, schema_overrides={"street": pl.String})
    path = desk.folder / ("a.csv" if kind in ("windows-1256", "utf-16") else f"a.{kind}")
    if kind == "jsonl":
        frame.write_ndjson(path)
    elif kind == "parquet":
        frame.write_parquet(path)
    else:
        path.write_bytes(frame.write_csv().replace("ی", "ي").encode(kind))

    done, _ = desk.facts(path)

    assert done["published"] == 3
    assert desk.events()["city"].to_list() == ["ری" if kind in ("jsonl", "parquet") else "ري"] * 3


def test_a_mapping_reads_a_legacy_table(desk):
    legacy = desk.folder / "legacy.csv"
    legacy.write_text("KOD;TARIKH;POSTI;OSTAN;SHAHR;MEMO\n100000007;۱۴۰۳/۰۱/۰۱;1000000001;1;ری;x\n", encoding="utf-8")
    mapping = desk.folder / "legacy.yaml"
    mapping.write_text(
        "time_zone: Asia/Tehran\n"
        "fields:\n"
        "  national_id: {column: KOD, width: 10}\n"
        "  change_kind: {constant: created}\n"
        "  effective_from: {column: TARIKH, calendar: jalali}\n"
        "  postal_code: POSTI\n"
        "  province: {column: OSTAN, values: {1: تهران}}\n"
        "  city: SHAHR\n"
        "ignore: [MEMO]\n",
        encoding="utf-8",
    )
    nine = "010000000"
    digits = nine + str(iran_check_digit(nine))
    legacy.write_text(legacy.read_text(encoding="utf-8").replace("100000007", digits[1:]), encoding="utf-8")

    done, _ = desk.facts(legacy, "--mapping", mapping)

    (event,) = desk.events().to_dicts()
    assert done["refused"] == 0
    assert event["effective_from"].isoformat() == "2024-03-19T20:30:00+00:00"
    assert (event["province"], event["city"]) == ("تهران", "ری")


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["missing.csv"], 2, "does not exist"),
        (["a.doc"], 65, "no format"),
        (["other.csv"], 78, "column 'colour' is no field"),
        (["a.csv", "--mapping", "a.csv"], 78, "the mapping"),
        (["a.csv", "--encoding", "klingon"], 65, "no encoding"),
    ],
)
def test_what_cannot_be_done_is_told_in_two_lines(desk, words, code, told):
    desk.write("a.csv", [address(1)])
    (desk.folder / "a.doc").touch()
    (desk.folder / "other.csv").write_text("colour\nred\n")

    done = desk.run(*(desk.folder / word if "." in word else word for word in words))

    assert done.returncode == code
    assert told in done.stderr
    assert "Traceback" not in done.stderr


def test_a_run_killed_at_any_moment_and_run_again_loses_and_doubles_nothing(desk):
    count = 60_000
    path = desk.write("a.csv", [address(number) for number in range(count)])
    chance = random.Random(11)
    for _ in range(5):
        running = desk.start(path)
        time.sleep(chance.uniform(0.5, 4))
        running.send_signal(signal.SIGKILL)
        running.wait()

    done, _ = desk.facts(path)

    events = desk.events()
    assert done["published"] + done["repeated"] == count
    assert events["sequence"].to_list() == list(range(1, count + 1))
    assert events["event_id"].n_unique() == count
    assert events["postal_code"].to_list() == [f"{1_000_000_000 + number}" for number in range(count)]
