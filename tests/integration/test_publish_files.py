import csv
import json
import os
import random
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from uuid import UUID, uuid4

import polars as pl
import pytest
import xlsxwriter
from confluent_kafka import TopicPartition

import schemas
from bus.columns import Decoder
from bus.kafka import admin, consumer, kafka_connection
from bus.national_id import iran_check_digit
from bus.subject import Pseudonymizer
from bus.topics import records_topic
from deploy.provision import create_topics
from registry.catalogue import load_catalogue
from registry.composition import event_schema

YEKBAR = [sys.executable, "-m", "deploy.cli.main"]
SUPPORT = Path(__file__).parents[1] / "support"
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
        nation = "title: {en: A nation, fa: ملت}\nnational_id_scheme: iran\n"
        (catalogue / "nation.yaml").write_text(nation, encoding="utf-8")
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

    @contextmanager
    def forked(self):
        """The command, ready to be started and killed often."""
        server = subprocess.Popen(
            [sys.executable, SUPPORT / "forked_command.py"],
            env=self.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            encoding="utf-8",
        )
        with server:
            yield Forked(server, self.record_type.id)
            server.stdin.close()

    def write(self, name, rows):
        """A CSV file of addresses; a row is a person's number, or that and what else it says."""
        path = self.folder / name
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
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


class Forked:
    """One run after the other of the command; each is to be waited for."""

    def __init__(self, server, record_type):
        self.server, self.record_type, self.pid = server, record_type, None

    def run(self, path):
        self.server.stdin.write(json.dumps(["publish", self.record_type, str(path)]) + "\n")
        self.server.stdin.flush()
        self.pid = int(self.server.stdout.readline())
        return self

    def kill(self):
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)

    def wait(self):
        return int(self.server.stdout.readline())


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


def test_twenty_runs_killed_at_random_points_lose_and_double_nothing(desk):
    per_file, points, chance = 1_000, 20, random.Random(11)
    files = [
        desk.write(f"{number}.csv", [address(one) for one in range(number * per_file, (number + 1) * per_file)])
        for number in range(points + 2)
    ]
    with desk.forked() as command:
        for path in files[:2]:  # the first run is slower than the others will be
            began = time.monotonic()
            assert command.run(path).wait() == 0
            usual_s = time.monotonic() - began
        kills = 0
        for path in files[2:]:
            running = command.run(path)
            time.sleep(chance.uniform(0, 0.7 * usual_s))
            running.kill()
            kills += running.wait() == -signal.SIGKILL
    before = desk.events().height

    done = desk.run(*files, "--json")

    assert done.returncode == 0, done.stderr
    assert kills >= points / 4, "too many runs ended before they were killed"
    assert per_file <= before < per_file * len(files)
    assert_log_is_file(desk, files)


def assert_log_is_file(desk, paths):
    """Each row of the files is one event of the log, and there is no other."""
    written = pl.concat([pl.read_csv(path, infer_schema=False) for path in paths])
    events = desk.events()
    assert events["sequence"].to_list() == list(range(1, written.height + 1))
    assert events["event_id"].n_unique() == written.height
    pseudonymizer = Pseudonymizer(bytes.fromhex(desk.environment["YEKBAR_DOMAIN_KEY"]), "iran")
    subjects = [pseudonymizer.subject(national_id).bytes for national_id in written["national_id"]]
    names = ("postal_code", "province", "city", "street")
    expected = written.select(names).with_columns(subject=pl.Series(subjects, dtype=pl.Binary))
    assert events.select(*names, "subject").sort("postal_code").equals(expected.sort("postal_code"))
    assert events["effective_from"].dt.strftime("%Y-%m-%d").unique().to_list() == ["2024-01-01"]


def test_a_sheet_of_ids_that_excel_made_numbers_is_published_where_check_digits_agree(desk):
    low = [f"{number:09}" for number in range(1_234_567, 1_234_577)]
    ids = [nine + str(iran_check_digit(nine)) for nine in low]
    with xlsxwriter.Workbook(str(desk.folder / "a.xlsx")) as book:
        day = book.add_format({"num_format": "yyyy-mm-dd"})
        for name in ("addresses", "notes"):
            sheet = book.add_worksheet(name)
            sheet.write_row(0, 0, list(address(0)))
            for line, national_id in enumerate(ids, start=1):
                row = address(line)
                sheet.write_row(line, 0, row.values())
                sheet.write_number(line, 0, int(national_id) + (line == 10))
                sheet.write_datetime(line, 2, datetime(2024, 3, line), day)  # noqa: DTZ001

    unsaid = desk.run(desk.folder / "a.xlsx")
    done, told = desk.facts(desk.folder / "a.xlsx", "--sheet", "addresses")

    assert (unsaid.returncode, "--sheet" in unsaid.stderr) == (REFUSED, True)
    assert (done["published"], done["refused"], told["national_ids"]) == (9, 1, {"restored": 10, "short": 0})
    events = desk.events()
    pseudonymizer = Pseudonymizer(bytes.fromhex(desk.environment["YEKBAR_DOMAIN_KEY"]), "iran")
    assert events["subject"].to_list() == [pseudonymizer.subject(national_id).bytes for national_id in ids[:9]]
    assert events["effective_from"].dt.day().to_list() == list(range(1, 10))


def test_texts_that_lost_their_zeros_are_refused_with_the_way_to_mend_them(desk):
    nine = f"{1_234_567:09}"
    path = desk.write("a.csv", [address(1, national_id=(nine + str(iran_check_digit(nine))).lstrip("0"))])
    mapping = desk.folder / "a.yaml"
    mapping.write_text("fields:\n  national_id: {column: national_id, width: 10}\n", encoding="utf-8")

    refused = desk.run(path)
    mended, _ = desk.facts(path, "--mapping", mapping)

    assert (refused.returncode, "width: 10" in refused.stdout) == (REFUSED, True)
    assert mended["published"] == 1


def test_rows_that_a_file_has_twice_are_published_once(desk):
    path = desk.write("a.csv", [address(1), address(2), address(1)])

    looked, _ = desk.facts(path, "--dry-run")
    done, _ = desk.facts(path)

    assert (looked["published"], looked["repeated"]) == (done["published"], done["repeated"]) == (2, 1)


def test_rows_with_ids_of_their_own_are_published_once_and_an_id_is_used_once(desk):
    rows = [address(number, event_id=str(UUID(int=number))) for number in (1, 2, 3, 1)]
    path = desk.write("a.csv", rows)

    first, _ = desk.facts(path)
    again, _ = desk.facts(path)
    other, _ = desk.facts(desk.write("b.csv", [*rows[:2], address(3, event_id=rows[2]["event_id"], city="قم")]))

    assert (first["published"], first["repeated"]) == (3, 1)
    assert (again["published"], again["repeated"]) == (0, 4)
    assert (other["published"], other["repeated"], other["refused"]) == (0, 2, 1)
    assert "event-id-reused" in (desk.folder / "b.csv.refused.csv").read_text(encoding="utf-8")
    assert desk.events()["event_id"].to_list() == [UUID(int=number).bytes for number in (1, 2, 3)]


def test_a_full_disk_beside_the_journal_is_told_and_the_next_run_goes_on(desk, tmp_path):
    """The journal's folder is a small disk of its own, that is full before the file is through."""
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", small], check=False)
    if mounted.returncode:
        pytest.skip("NO SMALL DISK CAN BE MOUNTED HERE, so a full one is not tried: run as root")
    try:
        desk.environment["YEKBAR_DATA"] = str(small)
        path = desk.write("a.csv", [address(number, street="x" * 200) for number in range(20_000)])
        full = desk.run(path)
        subprocess.run(["mount", "-o", "remount,size=200m", small], check=True)
        done, _ = desk.facts(path)
    finally:
        subprocess.run(["umount", small], check=True)

    assert (full.returncode, "make room" in full.stderr, "Traceback" in full.stderr) == (74, True, False)
    assert done["published"] + done["repeated"] == 20_000
    assert_log_is_file(desk, [path])


def test_a_report_that_cannot_be_written_is_told(desk):
    path = desk.write("a.csv", [address(1, city="")])

    done = desk.run(path, "--report", desk.folder / "nowhere" / "report.csv")

    assert (done.returncode, "Traceback" in done.stderr) == (74, False)
    assert "--report" in done.stderr
