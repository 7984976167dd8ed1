import json
import shutil
from importlib.resources import files
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bus.errors import SettingError
from deploy.cli.catalogue import app
from registry.catalogue import load_catalogue


@pytest.fixture
def run(monkeypatch):
    monkeypatch.delenv("YEKBAR_CATALOGUE", raising=False)
    monkeypatch.setenv("COLUMNS", "200")
    return lambda *words: CliRunner().invoke(app, words)


@pytest.fixture
def copied_profile(tmp_path):
    shutil.copytree(Path(str(files("schemas"))), tmp_path / "nation", ignore=shutil.ignore_patterns("__*"))
    return tmp_path / "nation"


def test_checking_a_catalogue_without_mistakes_counts_what_it_holds(run):
    result = run("check", "--json")

    assert result.exit_code == 0
    assert json.loads(result.stdout)["counts"]["record types"] == 14
    assert "record types" in run("check").stdout


def test_checking_a_catalogue_tells_each_mistake_on_a_line_and_ends_with_65(run, copied_profile):
    place = copied_profile / "agencies.yaml"
    place.write_text(place.read_text(encoding="utf-8").replace("title", "titel", 2), encoding="utf-8")

    result = run("check", str(copied_profile))

    assert result.exit_code == 65
    assert [line.partition(": ")[0] for line in result.stdout.splitlines()] == [f"{place}:{n}" for n in (1, 2, 3, 4)]
    assert "4 mistakes" in result.stderr


def test_checking_a_catalogue_tells_mistakes_as_json(run, tmp_path):
    result = run("check", str(tmp_path), "--json")

    assert result.exit_code == 65
    assert json.loads(result.stdout)["mistakes"][0]["file"] == str(tmp_path)


def test_the_setting_names_the_folder_that_is_checked(run, tmp_path, monkeypatch):
    monkeypatch.setenv("YEKBAR_CATALOGUE", str(tmp_path))

    assert run("check").exit_code == 65


def test_all_ids_of_the_catalogue_are_listed(run):
    catalogue = load_catalogue(None)
    ids = {*catalogue.agencies, *catalogue.record_types, *catalogue.evidence_types, *catalogue.procedures}

    listed = run("show").stdout

    assert [name for name in [*ids, *catalogue.agreements] if name not in listed] == []


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("welfare", "subsidy-eligibility"),
        ("labour-relations.employment", "monthly_wage_rials >= 0"),
        ("involuntary-job-loss", "employment.ended_on"),
        ("vocational-licence", "requester only"),
        ("unemployment-benefit.tax-clearance", "P30D"),
    ],
)
def test_a_part_of_the_catalogue_is_shown_with_what_belongs_to_it(run, name, shown):
    result = run("show", name)

    assert result.exit_code == 0
    assert name in result.stdout
    assert shown in result.stdout


def test_what_is_shown_as_json_is_written_as_in_the_files(run):
    (agreement,) = json.loads(run("show", "unemployment-benefit.tax-clearance", "--json").stdout).values()

    assert (agreement["age_max"], agreement["valid_from"]) == ("P30D", "2024-01-01")


def test_an_unknown_id_is_refused_with_what_to_do(run):
    result = run("show", "nothing-of-this-name")

    assert isinstance(result.exception, SettingError)
    assert "yekbar catalogue show" in result.exception.remedy
