"""Reading columns: what an agency's column holds, as text or as a type of its own, in the type of a contract's field.

A value that does not read becomes null; whoever asked sees it, for it was not null before. Digits of any script are
digits, in numbers, days and ids. What a text says is never changed in a field that is text.
"""

from datetime import timedelta

import polars as pl

from producers.calendar import jalali_dates
from producers.mapping import Calendar, FieldSource

INSTANT = pl.Datetime("us", "UTC")
TEXTS = pl.List(pl.String)
_UUID_CHARS = 32
_DIGITS = {
    chr(zero + digit): str(digit)
    for zero in (0x06F0, 0x0660)  # Persian, Arabic; other scripts do not occur in agencies' files
    for digit in range(10)
}
_TRUTHS = {"true": True, "false": False, "t": True, "f": False, "1": True, "0": False}
_SHORT_ZONE = r"(\d\d:\d\d(?::\d\d(?:\.\d+)?)?[+-]\d\d):?(\d\d)?$"  # as PostgreSQL exports: +00, and +0330
_ZONED = ("%Y-%m-%dT%H:%M:%S%.f%:z", "%Y-%m-%dT%H:%M%:z")
_LOCAL = ("%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%dT%H:%M", "%Y-%m-%d")


class Reader:
    """Reads the columns of one mapping, whose times without a zone are in `time_zone`."""

    def __init__(self, *, time_zone: str) -> None:
        self._time_zone = time_zone

    def read(self, column: pl.Series, wanted: pl.DataType, source: FieldSource) -> pl.Series:
        """The column in the wanted type, null where a value does not read."""
        if source.values is not None:
            known = pl.col("value").cast(pl.String).replace_strict(source.values, default=None, return_dtype=pl.String)
            column = column.alias("value").to_frame().select(known).to_series()
        frame = column.alias("value").to_frame()
        read = self._expression(column.dtype, wanted, source)
        if read is None:
            return pl.Series(column.name, [None] * len(column), dtype=wanted)
        return frame.select(read.alias(column.name)).to_series()

    def _expression(self, given: pl.DataType, wanted: pl.DataType, source: FieldSource) -> pl.Expr | None:
        """How a column of one type is read as another; None when no value of the one can be one of the other."""
        value = pl.col("value")
        if given == pl.Null() or given == wanted:
            return _padded(value, source) if wanted == pl.String() and given == wanted else value.cast(wanted)
        if given in (pl.Categorical, pl.Enum):
            given, value = pl.String(), value.cast(pl.String)
        if given == pl.String():
            return self._from_text(value, wanted, source)
        if wanted == pl.String():
            is_padded = source.width is not None and given.is_numeric()
            return _padded(_whole(value, given, pl.Int64()).cast(pl.String), source) if is_padded else None
        if wanted.is_integer() and given.is_numeric():
            return _whole(value, given, wanted)
        if wanted.is_float() and given.is_numeric():
            return value.cast(wanted, strict=False)
        if given.is_integer() and (source.format is not None or source.calendar is Calendar.JALALI):
            return self._from_text(value.cast(pl.String), wanted, source)  # 20240131 in a column of numbers
        return self._from_time(value, given, wanted)

    def _from_time(self, value: pl.Expr, given: pl.DataType, wanted: pl.DataType) -> pl.Expr | None:
        if wanted == INSTANT and given == pl.Date():
            return self._in_zone(value.cast(pl.Datetime("us")))
        if isinstance(given, pl.Datetime):
            if wanted == INSTANT:
                instant = value.dt.convert_time_zone("UTC") if given.time_zone else self._in_zone(value)
                return instant.cast(INSTANT)
            if wanted == pl.Date() and given.time_zone is None:  # as spreadsheets write days
                return pl.when(value == value.dt.truncate("1d")).then(value.dt.date())
        return None

    def _from_text(self, text: pl.Expr, wanted: pl.DataType, source: FieldSource) -> pl.Expr | None:
        if wanted == pl.String():
            return _padded(text, source)
        if wanted == TEXTS:
            return text.str.split(source.separator)
        if wanted == pl.Binary():
            digits = text.str.strip_chars().str.replace_all("-", "", literal=True)
            return pl.when(digits.str.len_chars() == _UUID_CHARS).then(digits.str.decode("hex", strict=False))
        plain = text.str.replace_many(_DIGITS).str.strip_chars()
        if wanted.is_integer():
            return pl.when(plain.str.contains(r"^[+-]?\d+$")).then(plain).cast(wanted, strict=False)
        if wanted.is_float():
            number = plain.str.replace("٫", ".", literal=True)
            is_number = number.str.contains(r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$")
            return pl.when(is_number).then(number).cast(wanted, strict=False)
        if wanted == pl.Boolean():
            return plain.str.to_lowercase().replace_strict(_TRUTHS, default=None, return_dtype=pl.Boolean)
        if wanted == pl.Date():
            return self._day(plain, source)
        return self._instant(plain, source) if wanted == INSTANT else None

    def _day(self, text: pl.Expr, source: FieldSource) -> pl.Expr:
        # As a spreadsheet's day comes out in a column that holds texts too, whatever calendar these are in.
        of_cell = text.str.extract(r"^(\d{4}-\d\d-\d\d) 00:00:00$").str.to_date("%Y-%m-%d", strict=False)
        if source.calendar is Calendar.JALALI:
            return pl.coalesce(jalali_dates(text), of_cell)
        return pl.coalesce(text.str.to_date(source.format or "%Y-%m-%d", strict=False), of_cell)

    def _instant(self, text: pl.Expr, source: FieldSource) -> pl.Expr:
        if source.calendar is Calendar.JALALI:
            return self._in_zone(self._day(text, source).cast(pl.Datetime("us")))
        if source.format is not None:
            if "%z" in source.format or "%:z" in source.format:
                return text.str.to_datetime(source.format, time_unit="us", strict=False).cast(INSTANT)
            return self._in_zone(_local(text, source.format))
        written = text.str.replace(" ", "T", literal=True).str.replace(r"[zZ]$", "+00:00")
        written = written.str.replace(_SHORT_ZONE, "$1:${2}00").str.replace(r"([+-]\d\d:\d\d)00$", "$1")
        zoned = [written.str.to_datetime(one, time_unit="us", strict=False).cast(INSTANT) for one in _ZONED]
        return pl.coalesce(*zoned, *(self._in_zone(_local(written, one)) for one in _LOCAL))

    def _in_zone(self, local: pl.Expr) -> pl.Expr:
        """Times of the mapping's zone as instants: of one told twice the earlier, and one leapt over as if not leapt.

        Days begin at midnight, and where clocks leap at midnight that is an hour that does not exist.
        """
        zoned = [
            time.dt.replace_time_zone(self._time_zone, ambiguous="earliest", non_existent="null")
            for time in (local, local + timedelta(hours=1))
        ]
        return pl.coalesce(zoned).dt.convert_time_zone("UTC").cast(INSTANT)


def folded_digits(column: pl.Series) -> pl.Series:
    """The texts with digits of any script as ASCII digits."""
    return column.str.replace_many(_DIGITS)


def _local(text: pl.Expr, form: str) -> pl.Expr:
    if "%H" in form or "%I" in form:
        return text.str.to_datetime(form, time_unit="us", strict=False)
    return text.str.to_date(form, strict=False).cast(pl.Datetime("us"))


def _padded(text: pl.Expr, source: FieldSource) -> pl.Expr:
    return text if source.width is None else text.str.zfill(source.width)


def _whole(value: pl.Expr, given: pl.DataType, wanted: pl.DataType) -> pl.Expr:
    """Whole numbers, also as spreadsheets write them: with a fraction of nothing."""
    if given.is_integer():
        return value.cast(wanted, strict=False)
    return pl.when(value == value.floor()).then(value).cast(wanted, strict=False)


def value_class(value: object) -> str:
    """What kind of value it is, for a report: its shape and length, never the value."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "a truth value"
    if isinstance(value, int | float):
        return "a number"
    if not isinstance(value, str):
        return f"a {type(value).__name__}"
    text = value.strip()
    if not text:
        return "blank"
    kinds = {_char_kind(char) for char in text}
    named = next((name for name, made_of in _SHAPES if kinds <= made_of), "characters of several kinds")
    return f"{named}, length {len(value)}"


def _char_kind(char: str) -> str:
    if char.isdigit():
        return "digit"
    if char.isalpha():
        return "letter"
    return "blank" if char.isspace() else "mark"


_SHAPES = (
    ("digits", {"digit"}),
    ("letters", {"letter", "blank"}),
    ("marks", {"mark"}),
    ("digits and marks", {"digit", "mark"}),
    ("digits, marks and blanks", {"digit", "mark", "blank"}),
    ("digits and letters", {"digit", "letter", "blank"}),
)
