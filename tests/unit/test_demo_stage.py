import io
from datetime import date
from pathlib import Path

import pytest
from rich.console import Console

from deploy.demo.hero import load_hero
from deploy.demo.play import MARK, FolderError, fresh_folder
from deploy.demo.stage import Stage
from deploy.demo.systems import load_systems
from registry.catalogue import load_catalogue


def shown_on(stage):
    return stage._console.file.getvalue()


@pytest.fixture
def stage():
    return Stage(Console(file=io.StringIO(), width=100))


def test_an_expectation_is_shown_and_kept(stage):
    stage.chapter("Chapter")

    stage.expect("water is wet", holds=True, seen=12345)
    stage.expect("fire is cold", holds=False)

    assert "✓ water is wet  (12,345)" in shown_on(stage)
    assert "✗ fire is cold" in shown_on(stage)
    assert [one.what for one in stage.failed] == ["fire is cold"]
    assert stage.facts()["expectations"][0] == {
        "chapter": "Chapter",
        "what": "water is wet",
        "holds": True,
        "seen": "12,345",
    }


def test_cells_are_shown_as_people_read_them(stage):
    stage.table("[t]", ["a", "b", "c", "d"], [[1234567, 2.25, None, "[x]"], [1, 10.0, True, ""]])

    for text in ("1,234,567", "2.2", "–", "[x]", "yes"):
        assert text in shown_on(stage)


def test_a_measure_has_a_rate(stage):
    stage.measure("events", 500, "events", 2.0)

    assert stage.facts()["measures"] == [
        {"what": "events", "count": 500, "unit": "events", "seconds": 2.0, "per_second": 250.0}
    ]


def test_a_folder_that_the_demonstration_made_is_emptied(tmp_path):
    folder = tmp_path / "demo"
    fresh_folder(folder)
    (folder / "old").write_text("x")

    fresh_folder(folder)

    assert [entry.name for entry in folder.iterdir()] == [MARK]


def test_a_folder_with_files_of_somebody_else_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")

    with pytest.raises(FolderError, match="not the demonstration's"):
        fresh_folder(tmp_path)

    assert (tmp_path / "thesis.txt").exists()


def test_a_link_or_a_file_in_place_of_the_folder_is_left_alone(tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    (home / MARK).write_text("")
    (tmp_path / "link").symlink_to(home)
    (tmp_path / "file").write_text("x")

    for place in ("link", "file"):
        with pytest.raises(FolderError):
            fresh_folder(tmp_path / place)

    assert (home / MARK).exists()


def test_there_is_a_system_for_every_agency_and_a_table_for_every_record_type():
    catalogue = load_catalogue(None)

    systems = load_systems()

    assert {system.agency for system in systems} == set(catalogue.agencies)
    assert {table.record_type for system in systems for table in system.tables} == set(catalogue.record_types) - {
        catalogue.mandates
    }
    assert len({system.database for system in systems}) == len(systems)


def test_only_the_demonstration_and_the_profile_name_agencies():
    root = Path(__file__).parents[2]
    names = set(load_catalogue(None).agencies) | set(load_catalogue(None).record_types)
    names -= {"post", "welfare", "cooperatives"}  # words of the language too
    code = [
        path
        for room in ("bus", "consumers", "producers", "registry", "deploy")
        for path in (root / room).rglob("*")
        if path.suffix in (".py", ".sql") and "demo" not in path.parts
    ]

    naming = {str(path.relative_to(root)) for path in code for name in names if f'"{name}"' in path.read_text()}

    assert naming == set()


def test_nothing_of_the_hero_lies_in_the_future():
    today = date(2026, 11, 24)

    hero = load_hero(today)

    assert hero.latin_name == "Sara Karimi"
    assert all(spell.effective_from <= today for spell in hero.spells)
