import json
import os
import pty
import random
import sqlite3
import subprocess
import sys
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

import polars as pl
import pytest
import yaml
from typer.testing import CliRunner

from bus.national_id import iran_check_digit
from deploy.cli.onboard import app
from producers.onboarding.days import written_days
from producers.onboarding.naming import field_names, labels_of
from producers.onboarding.profile import id_candidates, profiles_of
from producers.onboarding.roles import (
    NONE,
    Journal,
    common_words,
    effective_from_part,
    effective_to_part,
    journal_of,
    national_id_part,
    record_key_part,
    recorded_at_part,
    what_happened,
)
from producers.onboarding.rules import rules_of
from producers.onboarding.sample import Column, Sample
from producers.onboarding.shapes import shape_of
from registry.catalogue import check_catalogue, load_catalogue
from registry.contracts import Classification

YEKBAR = [sys.executable, "-m", "deploy.cli.main"]
ANSWERS = {
    "--record-type": "social-office.coverage",
    "--title-en": "Coverage",
    "--title-fa": "پوشش",
    "--agency-en": "Social office",
    "--agency-fa": "دفتر",
    "--time-zone": "Asia/Tehran",
}
PERSIAN = str.maketrans("0123456789", "۰۱۲۳۴۵۶۷۸۹")


def person(number):
    nine = f"{number + 100_000_000:09}"
    return nine + str(iran_check_digit(nine))


def profiled(scheme="iran", **columns):
    frame = pl.DataFrame(columns)
    facts = tuple(Column(name=name) for name in frame.columns)
    return profiles_of(Sample(name="t", frame=frame, columns=facts, is_whole=True), scheme=scheme)


def rules(profile, field="x", *, is_key=False):
    return {name: rule["check"] for name, rule in rules_of(profile, field, is_key=is_key, is_enum=False)}


def test_national_ids_are_found_by_their_check_digits_and_not_by_their_length():
    chance = random.Random(3)
    profiles = profiled(
        code=[person(number) for number in range(200)],
        phone=[f"{chance.randrange(10**10):010}" for _ in range(200)],
        postal=[f"{1_000_000_000 + number}" for number in range(200)],
    )

    assert id_candidates(profiles) == ["code"]
    assert profiles["phone"].id_share < 0.2
    assert national_id_part(profiles).chosen == "code"


def test_national_ids_are_found_in_other_digits_among_mistakes_and_with_lost_zeros():
    low = [f"{number:09}" for number in range(1_000_000, 1_000_100)]
    ids = [nine + str(iran_check_digit(nine)) for nine in low]

    profiles = profiled(
        persian=[person(number).translate(PERSIAN) for number in range(100)],
        spoilt=[person(number) if number % 10 else "1234567890" for number in range(100)],
        lost=[one.lstrip("0") for one in ids],
        numbers=[int(one) for one in ids],
    )

    assert set(id_candidates(profiles)) == {"persian", "spoilt", "lost", "numbers"}
    assert [name for name, one in profiles.items() if one.has_lost_zeros] == ["lost", "numbers"]


def test_a_handful_of_rows_proves_no_national_id():
    assert national_id_part(profiled(code=[person(1), person(2)])).chosen is None


def test_of_two_columns_of_persons_the_agency_is_asked():
    ids = [person(number) for number in range(50)]

    part = national_id_part(profiled(worker=ids, spouse=ids[::-1]))

    assert (part.chosen, set(part.candidates)) == (None, {"worker", "spouse"})


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        (["1402/05/01", "۱۴۰۳/۱۲/۳۰"], {"calendar": "jalali"}),
        (["14020501", "14031230"], {"calendar": "jalali"}),
        ([14020501, 14031230], {"calendar": "jalali"}),
        (["2024-01-31", None, ""], {}),
        (["20240131", "19991231"], {"format": "%Y%m%d"}),
        ([20240131, 19991231], {"format": "%Y%m%d"}),
        (["31/01/2024"], {"format": "%d/%m/%Y"}),
        (["01/31/2024"], {"format": "%m/%d/%Y"}),
        (["31.01.2024"], {"format": "%d.%m.%Y"}),
    ],
)
def test_days_are_recognised_as_they_are_written(texts, said):
    assert written_days(pl.Series(texts)).source() == said


@pytest.mark.parametrize("texts", [["12345678", "87654321"], ["Ali"], ["0012"], [], [None], [5, 7], ["1402/13/01"]])
def test_what_names_no_days_is_none(texts):
    assert written_days(pl.Series(texts, dtype=pl.Int64 if texts == [5, 7] else pl.String)) is None


def test_days_that_two_forms_read_differently_are_told():
    assert written_days(pl.Series(["01/02/2024", "03/04/2024"])).others == ("%m/%d/%Y",)
    assert written_days(pl.Series(["01/02/2024", "13/04/2024"])).others == ()


def test_the_start_is_the_one_column_of_days_or_the_one_whose_name_says_so():
    day = [date(2024, 1, 1)] * 3

    assert effective_from_part(profiled(moved_in=day, birth_date=day)).chosen == "moved_in"
    assert effective_from_part(profiled(granted_on=day, valid_from=day, created_at=day)).chosen == "valid_from"
    assert effective_from_part(profiled(granted_on=day, decided_on=day)).candidates == ("granted_on", "decided_on")
    assert effective_from_part(profiled(number=[1, 2, 3])).candidates == ()


def test_the_end_comes_after_the_start_and_the_time_of_registering_has_hours():
    early, late = [date(2024, 1, 1)] * 3, [date(2025, 1, 1), None, None]
    at = [datetime(2024, 1, 1, 8)] * 3  # noqa: DTZ001
    frame = pl.DataFrame(
        {"valid_from": early, "valid_to": late, "end_of_school": [date(1990, 1, 1)] * 3, "created": at}
    )
    profiles = profiled(**frame.to_dict())

    assert effective_to_part(profiles, frame, "valid_from").chosen == "valid_to"
    assert recorded_at_part(profiles, ("valid_from",)).chosen == "created"


def key_part(frame, **facts):
    columns = tuple(Column(name=name, **facts.get(name, {})) for name in frame.columns)
    profiles = profiles_of(Sample(name="t", frame=frame, columns=columns, is_whole=True), scheme="iran")
    return record_key_part(profiles, frame, national_id="nid", starts="since")


def test_where_a_person_has_one_row_there_is_no_record_key_even_if_rows_come_twice():
    frame = pl.DataFrame({"id": [1, 2, 3], "nid": ["1", "2", "2"], "since": ["a", "b", "b"], "deed": ["x", "y", "y"]})

    assert key_part(frame, id={"is_primary": True}).chosen == NONE


def test_the_record_key_is_what_alone_tells_a_persons_records_apart():
    frame = pl.DataFrame({"nid": ["1", "1", "2"], "since": ["a", "a", "b"], "deed": ["x", "y", "x"], "use": ["h"] * 3})

    assert key_part(frame).chosen == "deed"


def test_where_time_tells_a_persons_rows_apart_too_the_agency_is_asked():
    frame = pl.DataFrame({"id": [1, 2, 3], "nid": ["1", "1", "2"], "since": ["a", "b", "b"], "city": ["x", "y", "x"]})

    part = key_part(frame, id={"is_primary": True})

    assert (part.chosen, part.candidates) == (None, ("city", "id", NONE))


def test_a_table_whose_rows_undo_each_other_is_a_journal():
    ids = [str(UUID(int=number)) for number in range(1, 41)]
    frame = pl.DataFrame(
        {
            "uuid": ids,
            "amends": [None] * 20 + ids[:20],
            "other": [str(UUID(int=7))] * 40,
            "action": ["grant"] * 20 + ["amend"] * 18 + ["withdraw"] * 2,
            "name": [f"n{number}" for number in range(40)],
        }
    )
    profiles = profiled(**frame.to_dict())

    assert journal_of(profiles, frame) == Journal(event_id="uuid", previous_event_id="amends")
    assert journal_of(profiles, frame.with_columns(amends=pl.lit(str(UUID(int=99))))) is None
    assert what_happened(profiles) == ("action",)
    assert common_words(frame["action"]) == ("grant", "amend")


def test_codes_become_a_list_and_what_few_rows_say_is_in_none():
    common = ["01"] * 200 + ["02"] * 200 + ["0X"] * 2

    assert rules(profiled(x=common)["x"])["x-listed"] == "\"x\" IN ('01', '02')"
    assert rules(profiled(x=[1, 2, 3] * 50)["x"])["x-listed"] == '"x" BETWEEN 1 AND 3'
    assert "name-listed" not in rules(profiled(name=["Ali", "Zahra"] * 100)["name"], "name")


def test_bounds_are_round_and_far_from_any_value_of_a_person():
    wages = [10_000_000 + 12_345 * number for number in range(1000)] + [-7]

    assert rules(profiled(x=wages)["x"])["x-plausible"] == '"x" BETWEEN 0 AND 50000000'
    days = [date(1961, 7, 4), *[date(1990 + number % 9, 1, 1 + number % 28) for number in range(99)]]
    assert rules(profiled(x=days)["x"])["x-plausible"] == "\"x\" BETWEEN DATE '1960-01-01' AND DATE '2199-12-31'"


def test_digits_of_one_length_become_a_pattern():
    codes = [f"{1_000_000_000 + number}" for number in range(99)] + ["-"]

    assert rules(profiled(x=codes)["x"])["x-digits"] == "\"x\" ~ '^[0-9]{10}$'"


def test_names_of_columns_become_names_of_fields():
    names = field_names(["ValidFrom", "ZIP CODE", "2nd", "خیابان", "source", "zip_code"], {"خیابان": "street"})

    assert names == {
        "ValidFrom": "valid_from",
        "ZIP CODE": "zip_code",
        "2nd": "field_2nd",
        "خیابان": "street",
        "source": "source_value",
        "zip_code": "zip_code_6",
    }
    assert labels_of("az_tarikh", "تاریخ شروع", None) == {"en": "Az tarikh", "fa": "تاریخ شروع"}
    assert labels_of("x", "", "Start/شروع") == {"en": "Start", "fa": "شروع"}


def test_a_shape_tells_of_no_value():
    assert [shape_of(value) for value in ("۰۱۲-Ab علی", 1234, None, " ", "x" * 99)] == [
        "999-aa xxx",
        "9999",
        "nothing",
        "blank",
        "a" * 24 + "…",
    ]


@pytest.fixture
def legacy(tmp_path):
    """A branch's database: Persian digits, days of the solar Hijri calendar, and mistakes in known numbers."""
    path = tmp_path / "legacy.db"
    chance = random.Random(5)
    with sqlite3.connect(path) as database:
        database.execute(
            "CREATE TABLE bimeh (id INTEGER PRIMARY KEY, code_melli TEXT NOT NULL, noe INTEGER NOT NULL,"
            " shobe TEXT NOT NULL, hoghugh INTEGER, nam TEXT, az_tarikh TEXT NOT NULL, posti TEXT, ax BLOB)"
        )
        rows = [
            (
                "1234567890" if number < 7 else person(number).translate(PERSIAN) if number % 3 else person(number),
                chance.randrange(4),
                chance.choice(["0012", "0204"]),
                -5 if number in (50, 51) else chance.randrange(30, 90) * 1_000_000,
                " رضا" if number == 60 else "زهرا",
                "1402/13/45" if 100 <= number < 105 else f"{1395 + number % 9}/07/{1 + number % 29:02}",
                f"{1_000_000_000 + number}",
                b"\1",
            )
            for number in range(1_000)
        ]
        rows += rows[200:203]
        columns = "code_melli, noe, shobe, hoghugh, nam, az_tarikh, posti, ax"
        database.executemany(f"INSERT INTO bimeh ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)
    return f"sqlite:///{path}"


@dataclass(frozen=True)
class Done:
    returncode: int
    stdout: str
    stderr: str


def onboard(*words, **answers):
    """The command in this process, without a terminal."""
    told = [word for flag, value in answers.items() for word in (flag, value)]
    result = CliRunner().invoke(app, [*map(str, words), *told])
    if hasattr(result.exception, "exit_code"):
        return Done(result.exception.exit_code, result.stdout, f"{result.stderr}{result.exception}")
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Done(result.exit_code, result.stdout, result.stderr)


def test_a_table_becomes_a_folder_that_the_catalogue_check_accepts(legacy, tmp_path):
    folder = tmp_path / "nation"

    done = onboard(legacy, "--table", "bimeh", "--into", folder, "--json", **ANSWERS)

    assert done.returncode == 0, done.stderr
    assert check_catalogue(folder) == ()
    told = json.loads(done.stdout)
    made = load_catalogue(folder).record_types["social-office.coverage"]
    assert [field["name"] for field in made.body["fields"]] == ["noe", "shobe", "hoghugh", "nam", "posti"]
    assert {one.name: one.classification for one in made.fields} == {
        "noe": Classification.PERSONAL,
        "shobe": Classification.PUBLIC,
        "hoghugh": Classification.SENSITIVE,
        "nam": Classification.PERSONAL,
        "posti": Classification.PERSONAL,
    }
    assert told["left_out"] == ["ax"]
    mapping = yaml.safe_load((folder / "mappings/social-office/coverage.yaml").read_text(encoding="utf-8"))
    assert mapping == {
        "record_type": "social-office.coverage",
        "time_zone": "Asia/Tehran",
        "table": "bimeh",
        "row": "state",
        "fields": {
            "national_id": "code_melli",
            "effective_from": {"column": "az_tarikh", "calendar": "jalali"},
            **{name: name for name in ("noe", "shobe", "hoghugh", "nam", "posti")},
        },
        "ignore": ["id", "ax"],
    }


def test_the_report_counts_what_is_wrong_and_tells_nobodys_data(legacy, tmp_path):
    done = onboard(legacy, "--table", "bimeh", "--into", tmp_path / "nation", "--json", **ANSWERS)

    defects = {(one["column"], one["weight"]): one for one in json.loads(done.stdout)["defects"]}
    assert defects["code_melli", "refused"]["rows"] == 7
    assert defects["code_melli", "refused"]["shapes"] == ["9999999999"]
    assert (defects["az_tarikh", "refused"]["rows"], defects["az_tarikh", "refused"]["shapes"]) == (5, ["9999/99/99"])
    assert (defects["hoghugh", "flagged"]["rows"], defects["hoghugh", "flagged"]["shapes"]) == (2, ["-9"])
    assert defects["nam", "noticed"]["rows"] == 1
    assert defects["", "noticed"]["rows"] == 3
    for secret in ("1234567890", person(3), person(8).translate(PERSIAN), "رضا", "1402/13/45", "1000000003"):
        assert secret not in done.stdout + done.stderr


def test_what_the_sample_does_not_tell_is_asked_by_the_flags_that_answer_it(legacy, tmp_path):
    done = onboard(legacy, "--table", "bimeh", "--into", tmp_path / "nation")

    assert done.returncode == 2
    for flag in ANSWERS:
        assert f"{flag} " in done.stderr
    assert not (tmp_path / "nation").exists()


def test_at_a_terminal_the_same_is_asked_one_by_one(legacy, tmp_path):
    leader, follower = pty.openpty()
    words = [*YEKBAR, "onboard", legacy, "--table", "bimeh", "--into", str(tmp_path / "nation"), "--json"]
    asked = subprocess.Popen(
        words, stdin=follower, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, "TERM": "dumb"}
    )
    os.close(follower)
    os.write(leader, "social-office.coverage\nSocial office\nدفتر\nCoverage\nپوشش\nAsia/Tehran\n".encode())

    stdout, stderr = asked.communicate(timeout=60)
    os.close(leader)

    assert asked.returncode == 0, stderr.decode()
    assert json.loads(stdout)["parts"]["time_zone"] == "Asia/Tehran"
    assert load_catalogue(tmp_path / "nation").agencies["social-office"].title["fa"] == "دفتر"


def test_a_record_type_joins_a_nations_catalogue_and_overwrites_nothing_unasked(legacy, tmp_path):
    folder = tmp_path / "nation"
    onboard(legacy, "--table", "bimeh", "--into", folder, **ANSWERS)
    other = {**ANSWERS, "--record-type": "second-office.coverage"}

    second = onboard(legacy, "--table", "bimeh", "--into", folder, **other)
    again = onboard(legacy, "--table", "bimeh", "--into", folder, **ANSWERS)
    anew = onboard(legacy, "--table", "bimeh", "--into", folder, "--replace", **ANSWERS)

    assert (second.returncode, again.returncode, anew.returncode) == (0, 78, 0)
    assert "--replace" in again.stderr
    assert set(load_catalogue(folder).agencies) == {"social-office", "second-office"}


def test_a_query_is_looked_at_like_a_table(legacy, tmp_path):
    query = "SELECT code_melli AS nid, az_tarikh, noe, 'a:b' AS mark FROM bimeh WHERE id > 100"

    done = onboard(legacy, "--query", query, "--into", tmp_path / "nation", "--json", **ANSWERS)

    assert done.returncode == 0, done.stderr
    mapping = yaml.safe_load((tmp_path / "nation/mappings/social-office/coverage.yaml").read_text(encoding="utf-8"))
    assert (mapping["query"], mapping["key"]) == (query, ["nid"])


def test_a_journal_is_published_by_its_own_ids_and_words(tmp_path):
    path = tmp_path / "journal.db"
    with sqlite3.connect(path) as database:
        database.execute(
            "CREATE TABLE grants (no INTEGER PRIMARY KEY, act TEXT NOT NULL, nid TEXT NOT NULL, since DATE NOT NULL,"
            " amount INTEGER, uuid TEXT NOT NULL, amends TEXT)"
        )
        for number in range(60):
            undone = str(UUID(int=number - 39)) if number >= 40 else None
            kind = "stop" if 20 <= number < 40 else "grant" if undone is None else "amend"
            row = (kind, person(number % 20), f"2024-0{1 + number // 20}-01", number, str(UUID(int=number + 1)), undone)
            database.execute(
                "INSERT INTO grants (act, nid, since, amount, uuid, amends) VALUES (?, ?, ?, ?, ?, ?)", row
            )
    words = ["--table", "grants", "--into", tmp_path / "nation"]
    means = [word for one in ("grant=created", "stop=ceased", "amend=corrected") for word in ("--change-word", one)]

    unsaid = onboard(f"sqlite:///{path}", *words, **ANSWERS)
    done = onboard(f"sqlite:///{path}", *words, "--change-kind", "act", *means, "--json", **ANSWERS)

    assert (unsaid.returncode, "--change-kind" in unsaid.stderr) == (2, True)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["defects"] == []
    mapping = yaml.safe_load((tmp_path / "nation/mappings/social-office/coverage.yaml").read_text(encoding="utf-8"))
    assert mapping["fields"] == {
        "national_id": "nid",
        "change_kind": {"column": "act", "values": {"grant": "created", "stop": "ceased", "amend": "corrected"}},
        "event_id": "uuid",
        "previous_event_id": "amends",
        "effective_from": "since",
        "amount": "amount",
    }
    assert "table" not in mapping


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["--table", "nothing"], 78, "it has bimeh"),
        (["--query", "SELEC 1"], 78, "cannot be read"),
        ([], 2, "--table and --query"),
        (["--table", "bimeh", "--national-id", "nobody"], 2, "'nobody', which is not there"),
        (["--table", "bimeh", "--classify", "noe=secret"], 2, "known are public, personal, sensitive"),
        (["--table", "bimeh", "--ignore", "nothing"], 2, "columns are id"),
        (["--table", "bimeh", "--effective-from", "nam"], 2, "known are az_tarikh"),
        (["--table", "bimeh", "--time-zone", "Asia/Atlantis"], 2, "no time zone"),
        (["--table", "bimeh", "--freshness", "soon"], 65, "no duration"),
    ],
)
def test_what_cannot_be_done_is_told_in_two_lines_and_leaves_nothing(legacy, tmp_path, words, code, told):
    answers = {flag: value for flag, value in ANSWERS.items() if flag not in words}

    done = onboard(legacy, *words, "--into", tmp_path / "nation", **answers)

    assert done.returncode == code, done.stderr
    assert told in done.stderr
    assert not (tmp_path / "nation" / "nation.yaml").exists()


def test_a_database_that_is_not_there_is_told(tmp_path):
    gone = onboard("postgresql://nobody@127.0.0.1:1/none", "--table", "t")
    strange = onboard("klingon://x", "--table", "t")
    missing = onboard(f"sqlite:///{tmp_path}/none.db", "--table", "t")

    assert (gone.returncode, strange.returncode, missing.returncode) == (75, 78, 78)
    assert not (tmp_path / "none.db").exists()
