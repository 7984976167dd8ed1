"""Days of the solar Hijri calendar, in columns. Its leap years follow a cycle of 33 years, exact from 1178 to 1633."""

import polars as pl

YEAR_FIRST = 1178
YEAR_LAST = 1633
_EPOCH_YEARS = 1595  # the start of the cycles that the count below begins from
_DAYS_BEFORE = -355_668 - 719_528  # to days since 1970-01-01


def jalali_dates(text: pl.Expr) -> pl.Expr:
    """The days that texts like 1403/05/12, 1403-5-12 or 14030512 name; null where there is no such day."""
    parted = text.str.replace(r"^\s*(\d{4})(\d{2})(\d{2})\s*$", "$1/$2/$3")
    parts = parted.str.extract_groups(r"^\s*(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})\s*$")
    year, month, day = (parts.struct.field(str(number)).cast(pl.Int32, strict=False) for number in (1, 2, 3))
    is_leap = (year % 33).is_in([1, 5, 9, 13, 17, 22, 26, 30])
    length = pl.when(month <= 6).then(31).when(month <= 11).then(30).when(is_leap).then(30).otherwise(29)
    is_day = year.is_between(YEAR_FIRST, YEAR_LAST) & month.is_between(1, 12) & day.is_between(1, length)
    count = year + _EPOCH_YEARS
    before_month = pl.when(month < 7).then((month - 1) * 31).otherwise((month - 7) * 30 + 186)
    days = _DAYS_BEFORE + 365 * count + count // 33 * 8 + (count % 33 + 3) // 4 + day + before_month
    return pl.when(is_day).then(days).cast(pl.Int32).cast(pl.Date)
