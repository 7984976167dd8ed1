from pathlib import Path

import pytest

from bus.settings import OTHER_VARIABLES, Settings
from deploy.cli.main import COMMANDS

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
SETTINGS = sorted(OTHER_VARIABLES | {field.alias for field in Settings.model_fields.values()})


@pytest.mark.parametrize("name", SETTINGS)
def test_readme_names_every_setting(name):
    assert f"`{name}`" in README


@pytest.mark.parametrize("name", COMMANDS)
def test_readme_names_every_command_and_each_has_a_module(name):
    assert f"`{name}" in README
    assert (ROOT / "deploy" / "cli" / f"{name}.py").exists()


@pytest.mark.parametrize("target", ["demo", "test", "bench"])
def test_readme_shows_every_make_target_that_people_need(target):
    assert f"make {target}" in README
    assert f"\n{target}:" in (ROOT / "Makefile").read_text(encoding="utf-8")
