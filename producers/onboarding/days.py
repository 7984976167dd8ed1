"""Days written as text or as numbers: in which order of year, month and day, and in which calendar."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

import polars as pl

from producers.mapping import Calendar, FieldSource
from producers.onboarding.sample import Kind, kind_of
from producers.reading import Reader

READABLE_SHARE_MIN = 0.95
YEAR_FIRST, YEAR_LAST = 1850, 2200  # of the Gregorian calendar; what is outside is another calendar, or no day
# The first that all values read as is proposed; where two of them read all and differ, only the agency knows.
FORMATS = (None, "%Y/%m/%d", "%Y%m%d", "%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%d-%m-%Y")
_PLACEHOLDERS = (date(1, 1, 1), date(1900, 1, 1), date(9999, 12, 31))
_SAMPLE_COLUMN = "given"


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """How days are written in a column; `others` are formats that read all of them as well, but as other days."""

    calendar: Calendar = Calendar.GREGORIAN
    format: str | None = None
    others: tuple[str, ...] = ()

    def source(self) -> Mapping[str, str]:
        """What a mapping says of it."""
        if self.calendar is Calendar.JALALI:
            return {"calendar": str(self.calendar)}
        return {"format": self.format} if self.format else {}


def written_days(column: pl.Series) -> Written | None:
    """How the days of a column are written; None when it holds no days. Numbers are days only as 20240131."""
    given = column.drop_nulls()
    if kind_of(given.dtype) is Kind.WHOLE:
        given = given.cast(pl.String)
    given = given.filter(given.str.strip_chars() != "") if given.dtype == pl.String else given.clear()
    if given.is_empty():
        return None
    if _share(days_as(given, Written(calendar=Calendar.JALALI))) >= READABLE_SHARE_MIN:
        return Written(calendar=Calendar.JALALI)
    reading = {
        form: days for form in FORMATS if _share(days := days_as(given, Written(format=form))) >= READABLE_SHARE_MIN
    }
    if not reading:
        return None
    chosen, first = next(iter(reading.items()))
    others = tuple(str(form) for form, days in reading.items() if not days.equals(first))
    return Written(format=chosen, others=others)


def days_as(column: pl.Series, written: Written) -> pl.Series:
    """The days of a text column, null where a value does not read as one of a credible year."""
    source = FieldSource.model_validate({"column": _SAMPLE_COLUMN, **written.source()})
    days = Reader(time_zone="UTC").read(column.alias(_SAMPLE_COLUMN), pl.Date(), source)
    is_credible = days.dt.year().is_between(YEAR_FIRST, YEAR_LAST) | is_placeholder(days)
    return days.set(~is_credible.fill_null(False), None)


def is_placeholder(days: pl.Series) -> pl.Series:
    """Which days stand for a day that nobody knows."""
    return days.is_in(_PLACEHOLDERS)


def _share(days: pl.Series) -> float:
    return 1 - days.null_count() / len(days)
