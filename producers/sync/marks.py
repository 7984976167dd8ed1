"""The mark of a sync: the highest change value that a snapshot showed, and from where the next round reads."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl

from producers.errors import MappingError
from producers.sync.mapping import OVERLAP_DEFAULT, OVERLAP_NUMBERS_DEFAULT, SyncMapping

_DAY = timedelta(days=1)
_DATE_CHARS = 10
Value = datetime | date | int | str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeColumn:
    """The column by which an agency says that a row has changed, with the overlap in which rows are read again."""

    name: str
    overlap: timedelta | int | None
    zone: ZoneInfo

    @classmethod
    def of(cls, mapping: SyncMapping) -> "ChangeColumn | None":
        """The change column of a mapping; None when it has none."""
        if mapping.changed_by is None:
            return None
        return cls(name=mapping.changed_by, overlap=mapping.overlap, zone=ZoneInfo(mapping.time_zone))

    def highest(self, frame: pl.DataFrame, before: Value | None, *, clock: datetime) -> Value | None:
        """The higher one of a mark and a batch's highest value; of a time no later than the database's clock.

        A date far ahead, that somebody mistyped, would else hide all that comes before it.
        """
        found = frame[self.name].max()
        if found is None:
            return before
        if not isinstance(found, datetime | date | int | str) or (
            before is not None and type(before) is not type(found)
        ):
            raise MappingError(
                f"the change column '{self.name}' holds {type(found).__name__} where it held {type(before).__name__}"
                if before is not None
                else f"the change column '{self.name}' holds {type(found).__name__}",
                remedy="name a column of times, days or whole numbers, or leave 'changed_by' out",
            )
        limited = self._limited(found, clock)
        return limited if before is None else max(before, limited)

    def since(self, mark: Value) -> Value:
        """From where the next round reads, so that what was committed late, or by a slow clock, is seen."""
        if isinstance(mark, int):
            overlap = self.overlap if self.overlap is not None else OVERLAP_NUMBERS_DEFAULT
            if not isinstance(overlap, int):
                raise self._wrong_overlap("a number, such as 'overlap: 1000'")
            return mark - overlap
        overlap = self.overlap if self.overlap is not None else OVERLAP_DEFAULT
        if not isinstance(overlap, timedelta):
            raise self._wrong_overlap("a length of time, such as 'overlap: 10m'")
        if isinstance(mark, str):
            return _written(self._read(mark) - overlap, like=mark)
        return mark - overlap if isinstance(mark, datetime) else mark - max(overlap, _DAY)

    def _limited(self, value: Value, clock: datetime) -> Value:
        if isinstance(value, datetime):
            return min(value, clock if value.tzinfo else self._local(clock))
        if isinstance(value, date):
            return min(value, self._local(clock).date())
        if isinstance(value, str):
            now = self._local(clock)
            return value if self._read(value) <= now else _written(now, like=value)
        return value

    def _local(self, clock: datetime) -> datetime:
        return clock.astimezone(self.zone).replace(tzinfo=None)

    def _read(self, text: str) -> datetime:
        try:
            return datetime.fromisoformat(text).replace(tzinfo=None)
        except ValueError:
            raise MappingError(
                f"the change column '{self.name}' holds text that is no time as 2026-01-31 12:00:00",
                remedy="leave 'changed_by' out: every round then compares the whole table",
            ) from None

    def _wrong_overlap(self, wanted: str) -> MappingError:
        return MappingError(f"the overlap of '{self.name}' is of another kind", remedy=f"say {wanted}")


def _written(time: datetime, *, like: str) -> str:
    """A time as a column of texts writes it, down to the second."""
    if len(like) <= _DATE_CHARS:
        return time.date().isoformat()
    return time.replace(microsecond=0).isoformat(sep=like[_DATE_CHARS])


def stored(value: Value | None) -> Mapping[str, Any] | None:
    """A mark as it is kept."""
    if value is None:
        return None
    return {"type": type(value).__name__, "value": value.isoformat() if isinstance(value, date) else value}


def restored(kept: Mapping[str, Any] | None) -> Value | None:
    """A mark that was kept."""
    if kept is None:
        return None
    value: Value = kept["value"]
    if kept["type"] == "datetime":
        return datetime.fromisoformat(str(value))
    return date.fromisoformat(str(value)) if kept["type"] == "date" else value
