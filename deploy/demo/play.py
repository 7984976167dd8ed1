"""Plays the demonstration on a stack of its own, in a folder of its own, and leaves no process behind."""

import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

from deploy.demo.commands import Commands
from deploy.demo.live import EvidenceApi, LiveViews
from deploy.demo.population import Population, populate
from deploy.demo.scene import Scene, now
from deploy.demo.stage import Stage
from deploy.demo.story import tell
from deploy.demo.systems import load_systems
from deploy.local.jars import fetch_jars, jar_folder, locked_jars, missing_jars
from deploy.local.part import Part, start_together
from deploy.local.process import end_leftovers
from deploy.local.running import find_running, held
from deploy.local.whole import WholeStack
from deploy.wiring import wire

MARK = "made-by-yekbar-demo"
WORKERS = 2
LIBRDKAFKA_CRITICAL = 2  # its notes on retries are no part of the story; what stops a publisher is an exception


class FolderError(Exception):
    """The data folder is not the demonstration's to empty."""

    exit_code = 73  # EX_CANTCREAT of sysexits.h

    def __init__(self, message: str, *, remedy: str) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy


def fresh_folder(folder: Path) -> None:
    """The folder, empty but for the demonstration's mark. Raises FolderError rather than touch another's files."""
    if find_running(folder) is not None:
        raise FolderError(f"a stack runs over '{folder}'", remedy=f"stop it with 'yekbar down --data {folder}'")
    other = "name another folder with --data"
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise FolderError(f"'{folder}' is no folder", remedy=other)
    if folder.exists() and any(folder.iterdir()):
        if not (folder / MARK).is_file():
            raise FolderError(f"'{folder}' has files that are not the demonstration's", remedy=other)
        with held(folder):
            end_leftovers(folder)
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MARK).write_text("Everything here was made by 'yekbar demo', which empties this folder at each run.\n")


def play(stage: Stage, *, folder: Path, persons: int, seed: int) -> None:
    """Tells the whole story; everything that it started has ended when it returns, however it does."""
    fresh_folder(folder)
    with scene(stage, folder=folder, persons=persons, seed=seed) as playing:
        tell(playing)


@contextmanager
def scene(stage: Stage, *, folder: Path, persons: int, seed: int) -> Iterator[Scene]:
    """A running stack with the evidence API, and a population; the views wait to be started."""
    stage.chapter("A small nation on one machine")
    _fetch_kafka(stage)
    with ExitStack() as parts:
        pool = parts.enter_context(ThreadPoolExecutor(1))
        population = pool.submit(populate, persons=persons, seed=seed, now=now().replace(microsecond=0))

        def on_started(part: Part, seconds: float) -> None:
            stage.say(f"{part.name} answers at {part.place} ({seconds:.1f} s)")

        whole = parts.enter_context(WholeStack(folder, {}, on_started))
        wired = wire(whole.environment)
        wiring = replace(wired, kafka={**wired.kafka, "log_level": LIBRDKAFKA_CRITICAL})
        commands = Commands(whole.environment, folder / "commands.log")
        api = EvidenceApi(wiring, commands, folder)
        parts.callback(api.stop)
        views = LiveViews(wiring, commands, folder, workers=WORKERS)
        parts.callback(views.stop)
        start_together((api,), on_started)
        people = population.result()
        _introduce(stage, people, seed)
        made = Scene(
            stage=stage,
            wiring=wiring,
            commands=commands,
            folder=folder,
            population=people,
            systems=load_systems(),
            views=views,
            api=api,
        )
        parts.callback(made.close)
        yield made


def _fetch_kafka(stage: Stage) -> None:
    missing = missing_jars(locked_jars(), jar_folder())
    if missing:
        with stage.bar(f"fetching Kafka ({len(missing)} jars, once)", sum(jar.size_bytes for jar in missing)) as bar:
            fetch_jars(missing, jar_folder(), bar.advance)


def _introduce(stage: Stage, population: Population, seed: int) -> None:
    nation = population.nation
    persons = sum(1 for _ in nation.persons) + 1
    stage.say(
        f"{persons:,} persons in {len(nation.households) + 1:,} households, made from seed {seed}; "
        f"one of them is {population.hero.latin_name} ({population.hero.full_name})."
    )
