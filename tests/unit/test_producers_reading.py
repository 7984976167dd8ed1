from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import polars as pl
import pytest

from producers.calendar import YEAR_FIRST, YEAR_LAST, jalali_dates
from producers.mapping import FieldSource
from producers.reading import INSTANT, TEXTS, Reader, value_class


def read(given, wanted, *, kind=pl.String, time_zone="UTC", **said):
    column = pl.Series("given", given, dtype=kind)
    return Reader(time_zone=time_zone).read(column, wanted(), FieldSource(column="given", **said)).to_list()


def instant(*parts):
    return datetime(*parts, tzinfo=UTC)


def instants(given, **said):
    return (
        Reader(time_zone=said.pop("time_zone", "UTC"))
        .read(pl.Series(given, dtype=pl.String), INSTANT, FieldSource(column="given", **said))
        .to_list()
    )


def test_text_is_left_as_it_is():
    assert read([" علی‌رضا ", "۰۱۲", "", None], pl.String) == [" علی‌رضا ", "۰۱۲", "", None]


def test_digits_of_any_script_are_numbers():
    assert read(["۱۲۳", "٤٥", "-7", "+7", " 8 "], pl.Int64) == [123, 45, -7, 7, 8]
    assert read(["۱۲٫۵", "1e3", ".5", "7."], pl.Float64) == [12.5, 1000.0, 0.5, 7.0]


@pytest.mark.parametrize("text", ["1,000", "1.0", "0x1", "١٢٣a", "", "1 2", "nan", "99999999999999999999"])
def test_what_is_no_whole_number_does_not_read(text):
    assert read([text], pl.Int32) == [None]


@pytest.mark.parametrize("text", ["nan", "inf", "-inf", "1,5", "", "."])
def test_what_is_no_number_does_not_read(text):
    assert read([text], pl.Float64) == [None]


def test_truths_are_read_from_words_and_digits():
    assert read(["true", "FALSE", "1", "۰", "yes"], pl.Boolean) == [True, False, True, False, None]


def test_days_are_read_as_written():
    assert read(["2024-02-29", "2023-02-29", "۲۰۲۴-۰۱-۰۲", "20240102"], pl.Date) == [
        date(2024, 2, 29),
        None,
        date(2024, 1, 2),
        None,
    ]
    assert read(["29/02/2024"], pl.Date, format="%d/%m/%Y") == [date(2024, 2, 29)]


def test_days_of_the_solar_hijri_calendar_are_read():
    days = read(["1403/01/01", "۱۴۰۳/۱۲/۳۰", "1402/12/30", "13481011", "1403/7/31"], pl.Date, calendar="jalali")

    assert days == [date(2024, 3, 20), date(2025, 3, 20), None, date(1970, 1, 1), None]


def test_days_are_read_from_numbers_and_from_cells_among_texts():
    assert read([20240131], pl.Date, kind=pl.Int64, format="%Y%m%d") == [date(2024, 1, 31)]
    assert read([14030101, 3], pl.Date, kind=pl.Int64, calendar="jalali") == [date(2024, 3, 20), None]
    mixed = ["2024-03-20 00:00:00", "1403/01/02", "2024-03-20 01:00:00"]
    assert read(mixed, pl.Date, calendar="jalali") == [date(2024, 3, 20), date(2024, 3, 21), None]
    assert read(["2024-03-20 00:00:00"], pl.Date) == [date(2024, 3, 20)]


def test_every_day_of_that_calendar_follows_the_day_before():
    texts = [
        f"{year}/{month:02}/{day:02}"
        for year in range(YEAR_FIRST, YEAR_LAST + 1)
        for month in range(1, 13)
        for day in range(1, 32)
    ]

    days = pl.DataFrame({"text": texts}).select(jalali_dates(pl.col("text"))).to_series().drop_nulls()

    assert days.diff().drop_nulls().unique().to_list() == [timedelta(days=1)]
    assert (days[0], len(days)) == (date(1799, 3, 21), (days[-1] - days[0]).days + 1)


def test_instants_are_read_with_and_without_a_zone():
    written = ["2024-07-01T10:00:00Z", "2024-07-01 10:00:00.123456+03:30", "2024-07-01T10:00", "2024-07-01", "x"]

    assert instants(written, time_zone="Europe/Paris") == [
        instant(2024, 7, 1, 10),
        instant(2024, 7, 1, 6, 30, 0, 123456),
        instant(2024, 7, 1, 8),
        instant(2024, 6, 30, 22),
        None,
    ]


def test_instants_are_read_as_postgresql_exports_them():
    written = ["2024-07-01 10:00:00+00", "2024-07-01 10:00:00.5+0330", "2024-07-01 10:00-05"]

    assert instants(written) == [
        instant(2024, 7, 1, 10),
        instant(2024, 7, 1, 6, 30, 0, 500000),
        instant(2024, 7, 1, 15),
    ]


def test_a_day_whose_midnight_clocks_leapt_over_begins_all_the_same():
    assert instants(["2021-03-22"], time_zone="Asia/Tehran") == [instant(2021, 3, 21, 20, 30)]


def test_instants_are_read_in_a_form_that_the_mapping_says():
    assert instants(["01.02.2024 03:04"], format="%d.%m.%Y %H:%M") == [instant(2024, 2, 1, 3, 4)]
    assert instants(["01.02.2024"], format="%d.%m.%Y") == [instant(2024, 2, 1)]
    assert instants(["20240201030405+0330"], format="%Y%m%d%H%M%S%z") == [instant(2024, 1, 31, 23, 34, 5)]
    assert instants(["1403/01/01"], calendar="jalali", time_zone="Asia/Tehran") == [instant(2024, 3, 19, 20, 30)]


def test_ids_are_read_with_and_without_hyphens():
    one = UUID(int=7)

    assert read([str(one), one.hex.upper(), "7", str(one)[:-1] + "g"], pl.Binary) == [one.bytes, one.bytes, None, None]


def test_texts_are_parted():
    column = pl.Series(["یک|دو", "", None])

    read_texts = Reader(time_zone="UTC").read(column, TEXTS, FieldSource(column="given"))

    assert read_texts.to_list() == [["یک", "دو"], [""], None]


def test_codes_are_translated_and_unknown_ones_do_not_read():
    assert read(["1", "2", "3", None], pl.String, values={1: "home", 2: "shop"}) == ["home", "shop", None, None]
    assert read([1, 2, 3], pl.String, kind=pl.Int64, values={1: "home", 2: "shop"}) == ["home", "shop", None]


def test_numbers_are_no_text_unless_a_width_is_said():
    assert read([499370899], pl.String, kind=pl.Int64) == [None]
    assert read([499370899.0, 1.5], pl.String, kind=pl.Float64, width=10) == ["0499370899", None]
    assert read(["499370899"], pl.String, width=10) == ["0499370899"]


def test_columns_with_types_of_their_own_are_read():
    assert read([1.0, 1.5, None], pl.Int32, kind=pl.Float64) == [1, None, None]
    assert read([2**31], pl.Int32, kind=pl.Int64) == [None]
    assert read([1], pl.Float64, kind=pl.Int64) == [1.0]
    midnight, later = datetime(2024, 1, 2), datetime(2024, 1, 2, 3)  # noqa: DTZ001
    assert read([midnight, later], pl.Date, kind=pl.Datetime) == [date(2024, 1, 2), None]
    local = pl.Series([datetime(2024, 7, 1, 10)])  # noqa: DTZ001
    assert Reader(time_zone="Asia/Tehran").read(local, INSTANT, FieldSource(column="x")).to_list() == [
        instant(2024, 7, 1, 6, 30)
    ]
    assert read([True], pl.Date, kind=pl.Boolean) == [None]


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (None, "nothing"),
        ("", "blank"),
        ("0499370899", "digits, length 10"),
        ("۰۴۹", "digits, length 3"),
        ("2024-01-01", "digits and marks, length 10"),
        ("علی رضا", "letters, length 7"),
        ("A12", "digits and letters, length 3"),
        ("a-1", "characters of several kinds, length 3"),
        (12, "a number"),
        (True, "a truth value"),
        (["x"], "a list"),
    ],
)
def test_a_report_tells_the_kind_of_a_value_and_never_the_value(value, told):
    assert value_class(value) == told
