"""The offices of agencies: each publishes what is new in one of its tables, by the on-ramp that its agency chose."""

import csv
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import psycopg

from bus.columns import HAS_BODY
from bus.envelope import ChangeKind
from deploy.demo.commands import Commands
from deploy.demo.databases import url_of
from deploy.demo.stage import Stopwatch
from deploy.demo.systems import OnRamp, System, Table
from deploy.wiring import Wiring
from producers.journal_file import SqliteJournal
from producers.publisher import Publisher
from registry.contracts import RecordType

_TELLING = (ChangeKind.CREATED.value, ChangeKind.CORRECTED.value)
_DATES = ("effective_from", "effective_to")
_IDS = ("event_id", "previous_event_id")
_TYPES = {  # of columns that may hold nothing but nulls
    "previous_event_id": pl.Binary(),
    "event_id": pl.Binary(),
    "effective_from": pl.Date(),
    "effective_to": pl.Date(),
    "recorded_at": pl.Datetime("us", "UTC"),
}
_SOME_REFUSED = 65  # how 'yekbar publish' ends when it refused rows, and published the others


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """What became of the lines that an office sent: `refused` has a reason code for each line that was not taken.

    `published` counts a line that says again what an earlier one said as well: the on-ramp has it.
    """

    record_type: str
    published: int
    refused: tuple[str, ...]
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What offices work with: the bus, its commands, and a folder for their files."""

    wiring: Wiring
    commands: Commands
    folder: Path


class Office(ABC):
    """Reads one table of an agency's database, and publishes the lines that it has not published yet."""

    def __init__(self, system: System, table: Table, surroundings: Surroundings) -> None:
        self.system = system
        self._table = table
        self._around = surroundings
        self._contract = surroundings.wiring.record_type(table.record_type)
        self._folder = surroundings.folder / system.agency
        self._source = f"{system.agency}/{self._contract.id.partition('.')[2]}"
        self._lines_read = 0

    @property
    def url(self) -> str:
        """Where the office's database is."""
        return url_of(self._around.wiring.settings.database_url, self.system)

    def publish_new(self) -> Tally:
        """Publishes what was written since the last time; returns when the log has it."""
        watch = Stopwatch()
        self._folder.mkdir(parents=True, exist_ok=True)
        published, refused = self._publish(f"{self._table.changes} OFFSET {self._lines_read}")
        self._lines_read += published + len(refused)
        return Tally(record_type=self._contract.id, published=published, refused=tuple(refused), seconds=watch.seconds)

    @abstractmethod
    def _publish(self, query: str) -> tuple[int, Sequence[str]]:
        """Publishes the lines of a query: how many, and why the others are refused."""


class SdkOffice(Office):
    """The agency's application calls the publisher itself, with columns."""

    def _publish(self, query: str) -> tuple[int, Sequence[str]]:
        with psycopg.connect(self.url) as connection:
            cursor = connection.execute(query.encode())
            frame = frame_of([column.name for column in cursor.description or ()], cursor.fetchall(), self._contract)
        wiring = self._around.wiring
        with Publisher(
            self._contract,
            source=self._source,
            kafka=wiring.kafka,
            registry=wiring.registry,
            pseudonymizer=wiring.pseudonymizer,
            journal=SqliteJournal(self._folder / f"{self._contract.id}.journal"),
        ) as publisher:
            outcome = publisher.publish_columns(frame)
        return outcome.published, outcome.refused["reason"].to_list()


class FileOffice(Office):
    """The agency exports CSV in its own words, and runs `yekbar publish` with a mapping."""

    def _publish(self, query: str) -> tuple[int, Sequence[str]]:
        exported = self._folder / f"{self._contract.id}-from-{self._lines_read}.csv"
        mapping, report = exported.with_suffix(".mapping.yaml"), exported.with_suffix(".refused.csv")
        mapping.write_text(self._table.mapping or "{}", encoding="utf-8")
        self._export(query, exported)
        options = ("--mapping", str(mapping), "--source", self._source, "--report", str(report))
        said = self._around.commands.run(
            "publish", self._contract.id, str(exported), *options, also_fine=[_SOME_REFUSED]
        )
        (told,) = said["files"]
        return told["published"] + told["repeated"], _reasons(report)

    def _export(self, query: str, place: Path) -> None:
        statement = f"COPY ({query}) TO STDOUT WITH (FORMAT csv, HEADER)".encode()
        with (
            psycopg.connect(self.url) as connection,
            connection.cursor() as cursor,
            cursor.copy(statement) as copy,
            place.open("wb") as file,
        ):
            file.writelines(bytes(block) for block in copy)


OFFICES: Mapping[OnRamp, type[Office]] = {OnRamp.SDK: SdkOffice, OnRamp.FILE: FileOffice}


def _reasons(report: Path) -> list[str]:
    if not report.exists():
        return []
    with report.open(encoding="utf-8", newline="") as lines:
        return [line["reason"] for line in csv.DictReader(lines)]


def frame_of(names: Sequence[str], rows: Sequence[Sequence[Any]], contract: RecordType) -> pl.DataFrame:
    """An agency's lines as the frame that a publisher takes: dates begin at midnight, ids are bytes."""
    columns = dict(zip(names, zip(*rows, strict=True) if rows else ((),) * len(names), strict=True))
    for name in _IDS:
        columns[name] = tuple(value and value.bytes for value in columns[name])
    body = [field["name"] for field in contract.body["fields"]]
    frame = pl.DataFrame(columns, schema_overrides=_TYPES, infer_schema_length=None)
    is_telling = pl.col("change_kind").is_in(_TELLING)
    return frame.with_columns(
        *(pl.col(name).cast(pl.Datetime("us")).dt.replace_time_zone("UTC") for name in _DATES),
        *(pl.when(is_telling).then(pl.col(name)).alias(name) for name in body),
        is_telling.alias(HAS_BODY),
    )
