"""The offices of agencies: each publishes what is new in one of its tables, by the on-ramp that its agency chose."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import psycopg

from bus.columns import HAS_BODY
from bus.envelope import ChangeKind
from deploy.demo.databases import url_of
from deploy.demo.stage import Stopwatch
from deploy.demo.systems import System, Table
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """What became of the lines that an office sent: `refused` has a reason code for each line that was not taken."""

    record_type: str
    published: int
    refused: tuple[str, ...]
    seconds: float


class Office:
    """Reads one table of an agency's database, and publishes the lines that it has not published yet."""

    def __init__(self, system: System, table: Table, wiring: Wiring, folder: Path) -> None:
        self.system = system
        self._table = table
        self._wiring = wiring
        self._contract = wiring.record_type(table.record_type)
        self._journal = folder / system.agency / f"{table.record_type}.journal"
        self._lines_read = 0

    @property
    def url(self) -> str:
        """Where the office's database is."""
        return url_of(self._wiring.settings.database_url, self.system)

    def publish_new(self) -> Tally:
        """Publishes what was written since the last time; returns when the log has it."""
        watch = Stopwatch()
        frame = self._new_lines()
        self._journal.parent.mkdir(parents=True, exist_ok=True)
        with Publisher(
            self._contract,
            source=f"{self.system.agency}/{self._contract.id.partition('.')[2]}",
            kafka=self._wiring.kafka,
            registry=self._wiring.registry,
            pseudonymizer=self._wiring.pseudonymizer,
            journal=SqliteJournal(self._journal),
        ) as publisher:
            outcome = publisher.publish_columns(frame)
        self._lines_read += frame.height
        return Tally(
            record_type=self._contract.id,
            published=outcome.published,
            refused=tuple(outcome.refused["reason"].to_list()),
            seconds=watch.seconds,
        )

    def _new_lines(self) -> pl.DataFrame:
        with psycopg.connect(self.url) as connection:
            cursor = connection.execute(f"{self._table.changes} OFFSET %s".encode(), (self._lines_read,))
            names = [column.name for column in cursor.description or ()]
            return frame_of(names, cursor.fetchall(), self._contract)


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
