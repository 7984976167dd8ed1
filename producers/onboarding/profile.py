"""A column's profile: what kind of values it holds, how many are missing, which codes and between which bounds."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import polars as pl

from producers.ids import ZEROS_LOST_MAX, id_width, is_national_id
from producers.onboarding.days import READABLE_SHARE_MIN, Written, days_as, is_placeholder, written_days
from producers.onboarding.sample import Column, Kind, Sample, is_zoned, kind_of
from producers.onboarding.words import NAMES, hints

CODES_MAX = 40
CODE_ROWS_MIN = 5  # a value that fewer rows have could tell of a person
CODES_SHARE_MIN = 0.98
OUTLIERS_SHARE = 0.01  # of numbers at either end, which may be mistakes
IDS_LOOKED_AT_MAX = 2_000
IDS_MIN = 5  # fewer could all pass the check by chance
ID_SHARE_MIN = 0.8  # of random numbers one in ten passes
_SHORT_SHARE_MIN = 0.8
_TIME = r"^\s*\d{4}-\d\d-\d\d[T ]\d\d:\d\d"


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What the sample says of a column. `codes` are values that many rows have each, when nearly all rows have one."""

    column: Column
    kind: Kind
    is_zoned: bool = False
    is_small: bool = False
    written: Written | None = None
    rows: int
    nulls: int
    blanks: int = 0
    distinct: int
    codes: tuple[Any, ...] = ()
    low: Any = None
    high: Any = None
    digits: int | None = None
    id_share: float = 0.0
    has_lost_zeros: bool = False

    @property
    def name(self) -> str:
        """The column's name."""
        return self.column.name

    @property
    def is_required(self) -> bool:
        """Whether every row has a value, by the database's own word or by a sample that is no accident."""
        return not self.nulls and not self.column.may_be_null

    @property
    def is_time(self) -> bool:
        """Whether it can say when something holds."""
        return self.kind in (Kind.DAY, Kind.TIME)


def profiles_of(sample: Sample, *, scheme: str) -> Mapping[str, Profile]:
    """The profile of each column, by its name."""
    return {column.name: _profile(sample.frame[column.name], column, scheme) for column in sample.columns}


def with_valid_ids(rows: pl.DataFrame, column: str, *, scheme: str) -> pl.DataFrame:
    """The rows whose person is known."""
    width = id_width(scheme) or 0
    is_number = rows[column].dtype != pl.String
    texts = rows[column].cast(pl.String)
    ids = [text.zfill(width) if text and is_number else text for text in texts.to_list()]
    return rows.filter(pl.Series([one is not None and is_national_id(one, scheme) for one in ids], dtype=pl.Boolean))


def id_candidates(profiles: Mapping[str, Profile]) -> list[str]:
    """The columns that hold national ids by their check digits, the most certain first."""
    good = [one for one in profiles.values() if one.id_share >= ID_SHARE_MIN and one.rows - one.nulls >= IDS_MIN]
    return [one.name for one in sorted(good, key=lambda one: (-one.id_share, one.nulls))]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ids:
    share: float = 0.0
    has_lost_zeros: bool = field(default=False)


def _profile(values: pl.Series, column: Column, scheme: str) -> Profile:
    kind = kind_of(values.dtype)
    given = values.drop_nulls()
    written = written_days(values) if kind in (Kind.TEXT, Kind.WHOLE) else None
    ids = _ids(given, kind, scheme)
    times = _times_in_text(given) if kind is Kind.TEXT else None
    if written is not None and ids.share < ID_SHARE_MIN:
        kind = Kind.DAY
    elif times is not None:
        kind = Kind.TIME
    low, high = _bounds(given, kind, written)
    is_text = given.dtype == pl.String
    return Profile(
        column=column,
        kind=kind,
        is_zoned=is_zoned(values.dtype) if times is None else times,
        is_small=values.dtype in (pl.Int8, pl.Int16, pl.Int32),
        written=written if kind is Kind.DAY else None,
        rows=len(values),
        nulls=values.null_count(),
        blanks=int((given.str.strip_chars() == "").sum()) if is_text else 0,
        distinct=0 if kind is Kind.OTHER else given.n_unique(),
        codes=_codes(given) if kind in (Kind.TEXT, Kind.WHOLE) and not hints(column.name, NAMES) else (),
        low=low,
        high=high,
        digits=_digits(given) if kind is Kind.TEXT and is_text else None,
        id_share=ids.share,
        has_lost_zeros=ids.has_lost_zeros,
    )


def _ids(given: pl.Series, kind: Kind, scheme: str) -> _Ids:
    """How many of the values pass the scheme's check, with leading zeros restored where there can be none."""
    if kind not in (Kind.TEXT, Kind.WHOLE) or given.is_empty():
        return _Ids()
    texts = given.unique(maintain_order=True)[:IDS_LOOKED_AT_MAX].cast(pl.String).to_list()
    width = id_width(scheme)
    short = [text for text in texts if width and text.isdigit() and width - ZEROS_LOST_MAX <= len(text) < width]
    restored = sum(is_national_id(text.zfill(width or 0), scheme) for text in short)
    whole = sum(is_national_id(text, scheme) for text in texts)
    is_lost = bool(short) and (kind is Kind.WHOLE or restored / len(short) >= _SHORT_SHARE_MIN)
    return _Ids(share=(whole + (restored if is_lost else 0)) / len(texts), has_lost_zeros=is_lost and restored > 0)


def _times_in_text(given: pl.Series) -> bool | None:
    """Whether texts that are times of a day all have a zone; None when they are no such times."""
    if given.is_empty() or given.str.contains(_TIME).mean() < READABLE_SHARE_MIN:  # type: ignore[operator]
        return None
    return bool(given.str.contains(r"([zZ]|[+-]\d\d(:?\d\d)?)\s*$").all())


def _codes(given: pl.Series) -> tuple[Any, ...]:
    counts = given.value_counts(sort=True)
    many = counts.filter(pl.col("count") >= CODE_ROWS_MIN)
    covered = int(many["count"].sum() or 0)
    if not 2 <= many.height <= CODES_MAX or covered < CODES_SHARE_MIN * len(given):
        return ()
    return tuple(sorted(many[given.name].to_list()))


def _bounds(given: pl.Series, kind: Kind, written: Written | None) -> tuple[Any, Any]:
    """Between what nearly all numbers and all days lie, placeholders apart."""
    if kind in (Kind.WHOLE, Kind.NUMBER):
        return given.quantile(OUTLIERS_SHARE), given.quantile(1 - OUTLIERS_SHARE)
    if kind is not Kind.DAY:
        return None, None
    days = (given if written is None else days_as(given.cast(pl.String), written)).drop_nulls()
    days = days.filter(~is_placeholder(days))
    low, high = days.min(), days.max()
    return (low, high) if isinstance(low, date) else (None, None)


def _digits(given: pl.Series) -> int | None:
    """The length that nearly all values have, when they are of ASCII digits alone."""
    plain = given.filter(given.str.contains(r"^[0-9]+$"))
    if len(given) < CODE_ROWS_MIN or len(plain) < CODES_SHARE_MIN * len(given):
        return None
    lengths = plain.str.len_chars().value_counts(sort=True)
    length, count = lengths.row(0)
    return int(length) if count >= CODES_SHARE_MIN * len(given) and length > 1 else None
