import stat
from dataclasses import replace

import pytest

from deploy.local.errors import AlreadyRunningError
from deploy.local.running import (
    Running,
    RunningPart,
    find_running,
    forget_state,
    held,
    read_state,
    running_environment,
    write_state,
)

PLACES = {
    "KAFKA_BOOTSTRAP": "127.0.0.1:1",
    "DATABASE_URL": "postgresql://127.0.0.1:2/postgres",
    "SCHEMA_REGISTRY_URL": "http://127.0.0.1:3",
    "YEKBAR_DOMAIN_KEY": "00" * 32,
}


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "a folder یک‌بار"


@pytest.fixture
def running(folder):
    return Running(
        pid=1,
        birth="7",
        folder=str(folder),
        parts=(RunningPart(name="PostgreSQL", place="127.0.0.1:2", pid=2, log="/log"),),
        environment={**PLACES, "YEKBAR_MODE": "development"},
        is_ready=True,
    )


def test_a_stack_that_runs_fills_in_its_settings(running, folder):
    with held(folder):
        write_state(running)

        found = running_environment({"YEKBAR_DATA": str(folder)})

    assert found == running.environment


def test_nothing_is_filled_in_where_no_stack_was_ever_started(folder):
    assert running_environment({"YEKBAR_DATA": str(folder)}) == {}


def test_what_a_dead_supervisor_left_is_readable_but_does_not_run(running, folder):
    with held(folder):
        write_state(running)

    assert find_running(folder) is None
    assert read_state(folder) == running
    assert running_environment({"YEKBAR_DATA": str(folder)}) == {}


def test_a_stack_that_is_not_ready_fills_in_nothing(running, folder):
    with held(folder):
        write_state(replace(running, is_ready=False))

        assert running_environment({"YEKBAR_DATA": str(folder)}) == {}
        assert find_running(folder) == replace(running, is_ready=False)


def test_who_names_every_place_is_not_put_into_development_by_a_stack_nearby(running, folder):
    with held(folder):
        write_state(running)

        assert running_environment({"YEKBAR_DATA": str(folder), **PLACES}) == {}


def test_the_state_holds_secrets_and_is_for_its_owner_only(running, folder):
    with held(folder):
        write_state(running)

    assert stat.S_IMODE((folder / "running.json").stat().st_mode) == 0o600


def test_a_folder_that_is_held_is_not_held_twice(folder):
    with held(folder), pytest.raises(AlreadyRunningError, match="already runs over"), held(folder):
        pass


def test_a_state_that_another_version_wrote_is_no_state(running, folder):
    with held(folder):
        write_state(running)
        (folder / "running.json").write_text('{"parts": [{"colour": "red"}]}')

        assert find_running(folder) is None


def test_a_stopped_stack_leaves_no_state(running, folder):
    with held(folder):
        write_state(running)
        forget_state(folder)

    assert read_state(folder) is None
