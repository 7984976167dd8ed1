from datetime import date, datetime

import polars as pl
import pytest
import xlsxwriter

from producers.encodings import encoding_of
from producers.errors import UnreadableError
from producers.files import ROWS_TOGETHER, read_parts

NAMES = "number,name\n1,علی\n2,زهرا\n"


def written(folder, name, content):
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def rows_of(path, **options):
    parts = list(read_parts(path, **options))
    rows = [row for part in parts for row in part.frame.rows()]
    lines = [line for part in parts for line in part.lines]
    faults = [(fault.line, fault.column, fault.value_class) for part in parts for fault in part.faults]
    return rows, lines, faults


@pytest.mark.parametrize(
    ("content", "encoding"),
    [
        (NAMES.encode(), "utf-8-sig"),
        (NAMES.encode("utf-8-sig"), "utf-8-sig"),
        (NAMES.encode("utf-16"), "utf-16"),
        (NAMES.encode("utf-16-le"), "utf-16-le"),
        (NAMES.encode("utf-16-be"), "utf-16-be"),
        ("number,name\n1,علي\n2,زهرا\n".encode("windows-1256"), "windows-1256"),
        (b"number,name\n1,Ali\n", "utf-8-sig"),
        (b"", "utf-8-sig"),
    ],
)
def test_the_encoding_of_a_file_is_told_by_its_bytes(tmp_path, content, encoding):
    path = written(tmp_path, "a.csv", content)

    assert encoding_of(path) == encoding


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_text_is_the_same_in_every_encoding(tmp_path, encoding):
    path = written(tmp_path, "a.csv", NAMES.encode(encoding))

    assert rows_of(path)[0] == [("1", "علی"), ("2", "زهرا")]


def test_windows_1256_is_read_letter_by_letter(tmp_path):
    path = written(tmp_path, "a.csv", "number,name\n1,پژمان گنجعلي چ\n".encode("windows-1256"))

    assert rows_of(path)[0] == [("1", "پژمان گنجعلي چ")]


def test_an_encoding_that_is_not_sure_is_asked_for_with_the_line(tmp_path):
    path = written(tmp_path, "a.csv", "number,name\n1,Ali\n2,Müller\n".encode("latin-1"))

    with pytest.raises(UnreadableError, match=r"line 3.*--encoding"):
        list(read_parts(path))
    assert rows_of(path, encoding="latin-1")[0][1] == ("2", "Müller")


def test_an_unknown_or_a_wrong_encoding_is_told(tmp_path):
    path = written(tmp_path, "a.csv", NAMES)

    with pytest.raises(UnreadableError, match="no encoding 'klingon'"):
        list(read_parts(path, encoding="klingon"))
    with pytest.raises(UnreadableError, match="not in the encoding"):
        list(read_parts(path, encoding="utf-16"))


def test_bytes_that_are_no_text_refuse_their_line_alone(tmp_path):
    good = b"1,Ali\n" * 400_000  # the sample that tells the encoding ends before the fault
    path = written(tmp_path, "a.csv", b"number,name\n" + good + b"2,\xff\xfe\n3,Zahra\n")

    rows, _, faults = rows_of(path)

    assert faults == [(400_002, "name", "bytes that are no text in the file's encoding")]
    assert rows[-1] == ("3", "Zahra")
    assert len(rows) == 400_001


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_what_parts_the_columns_is_found_in_the_header(tmp_path, delimiter):
    path = written(tmp_path, "a.csv", NAMES.replace(",", delimiter))

    assert rows_of(path)[0] == [("1", "علی"), ("2", "زهرا")]


def test_lines_are_counted_as_an_editor_counts_them(tmp_path):
    text = 'number,name\r\n1,"two\nlines"\r\n\r\n2,x,y\r\n3,\r\n4\r\n"5","a ""b"" c"\r\n'
    path = written(tmp_path, "a.csv", text)

    rows, lines, faults = rows_of(path)

    assert rows == [("1", "two\nlines"), ("3", None), ("5", 'a "b" c')]
    assert lines == [2, 6, 8]
    assert faults == [(5, "", "3 fields, not 2"), (7, "", "1 fields, not 2")]


def test_many_rows_come_in_parts_and_say_how_far_they_are(tmp_path):
    count = 2 * ROWS_TOGETHER + 1
    path = written(tmp_path, "a.csv", "number\n" + "".join(f"{number}\n" for number in range(count)))

    parts = list(read_parts(path))

    assert [part.frame.height for part in parts] == [ROWS_TOGETHER, ROWS_TOGETHER, 1]
    assert parts[-1].share == 1
    assert parts[-1].lines == [count + 1]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", "no header"),
        ("\n", "no header"),
        ("a,a\n1,2\n", "'a' more than once"),
        ("a,\n1,2\n", "without a name"),
        ('a,b\n1,"x\n2,y\n', "never closed"),
        ("a,b\n1," + "x" * 2_000_000, "field larger"),
    ],
)
def test_a_table_that_cannot_be_read_as_a_whole_is_told(tmp_path, content, told):
    path = written(tmp_path, "a.csv", content)

    with pytest.raises(UnreadableError, match=told):
        list(read_parts(path))


def test_a_header_alone_is_no_row(tmp_path):
    assert rows_of(written(tmp_path, "a.csv", "a,b\n")) == ([], [], [])


@pytest.mark.parametrize("name", ["a.doc", "a", "a.csv.gz"])
def test_an_ending_that_tells_no_format_is_told(tmp_path, name):
    path = written(tmp_path, name, NAMES)

    with pytest.raises(UnreadableError, match=r"\.parquet"):
        list(read_parts(path))


def test_json_lines_keep_their_types_and_bad_ones_are_told(tmp_path):
    lines = [
        '{"number": "1", "area": 80, "tags": ["یک"]}',
        "",
        '{"number": "2", "area": null}',
        "{broken",
        "[1]",
        '{"number": "3", "area": "80"}',
        '{"number": 4, "area": 80}',
        '{"number": "\\ud800", "area": 80}',
        '{"number": "5", "area": 1e400}',
        '{"number": "6", "area": 81, "tags": [1]}',
    ]
    path = written(tmp_path, "a.jsonl", "\n".join(lines))

    rows, numbers, faults = rows_of(path)

    assert rows == [("1", 80, ["یک"]), ("2", None, None)]
    assert numbers == [1, 3]
    assert faults == [
        (4, "", "no JSON object"),
        (5, "", "no JSON object"),
        (6, "area", "digits, length 2"),
        (7, "number", "a number"),
        (8, "number", "marks, length 1"),
        (9, "area", "a number"),
        (10, "tags", "a list"),
    ]


def test_parquet_keeps_its_types(tmp_path):
    frame = pl.DataFrame({"number": ["1", None], "area": [80, 81]})
    frame.write_parquet(tmp_path / "a.parquet")

    rows, lines, _ = rows_of(tmp_path / "a.parquet")

    assert rows == frame.rows()
    assert lines == [1, 2]


def test_what_only_looks_like_parquet_is_told(tmp_path):
    path = written(tmp_path, "a.parquet", "PAR1 and nothing else")

    with pytest.raises(UnreadableError, match="as Parquet"):
        list(read_parts(path))


def workbook(path, **sheets):
    """A workbook whose sheets have these rows; `=` begins a formula with an error for its value."""
    with xlsxwriter.Workbook(str(path)) as book:
        day = book.add_format({"num_format": "yyyy-mm-dd"})
        for name, rows in sheets.items():
            sheet = book.add_worksheet(name)
            for line, row in enumerate(rows):
                for place, value in enumerate(row):
                    if isinstance(value, date):
                        sheet.write_datetime(line, place, value, day)
                    elif str(value).startswith("="):
                        sheet.write_formula(line, place, value, value="#N/A")
                    elif isinstance(value, str):
                        sheet.write_string(line, place, value)
                    elif value is not None:
                        sheet.write(line, place, value)
    return path


def test_a_sheet_keeps_its_types_and_empty_rows_are_none(tmp_path):
    rows = [
        ("id ", "since", "share", "is_new"),
        (499370899, date(2024, 1, 2), 0.5, True),
        (None,) * 4,
        (7, None, 1, False),
    ]

    midnight = datetime(2024, 1, 2)  # noqa: DTZ001

    (part,) = read_parts(workbook(tmp_path / "a.xlsx", one=rows))

    assert part.frame.rows() == [(499370899, midnight, 0.5, True), (7, None, 1.0, False)]
    assert (part.lines, part.faults, part.share) == ([2, 4], [], 1)


def test_what_comes_late_in_a_sheet_and_is_of_another_type_is_not_lost(tmp_path):
    rows = [("code",), *((number,) for number in range(1_500)), ("A12",)]

    parts = read_parts(workbook(tmp_path / "a.xlsx", one=rows))

    assert [row for part in parts for row in part.frame["code"]] == [*map(str, range(1_500)), "A12"]


def test_a_cell_that_holds_an_error_refuses_its_line_alone(tmp_path):
    rows = [("number", "name"), (1, "Ali"), ("=NA()", "Zahra"), (3, "=NA()"), (4, "Reza")]

    found, lines, faults = rows_of(workbook(tmp_path / "a.xlsx", one=rows))

    assert (found, lines) == ([(1, "Ali"), (4, "Reza")], [2, 5])
    assert sorted(faults) == [(3, "number", "a cell that holds an error"), (4, "name", "a cell that holds an error")]


def test_of_several_sheets_the_one_that_is_meant_is_read(tmp_path):
    rows = [("number",), (1,)]
    path = workbook(tmp_path / "a.xlsx", first=rows, second=[("number",), (2,)], empty=[])

    with pytest.raises(UnreadableError, match=r"2 sheets.*--sheet.*first, second"):
        list(read_parts(path))
    with pytest.raises(UnreadableError, match=r"no sheet 'third'.*first, second, empty"):
        list(read_parts(path, sheet="third"))
    assert rows_of(path, sheet="second")[0] == [(2,)]
    assert rows_of(workbook(tmp_path / "b.xlsx", first=rows, empty=[]))[0] == [(1,)]


@pytest.mark.parametrize(
    ("rows", "told"),
    [([("a", None), (1, 2)], "without a name"), ([], "no header"), (None, "cannot be read as a spreadsheet")],
)
def test_a_workbook_that_cannot_be_read_as_a_whole_is_told(tmp_path, rows, told):
    path = tmp_path / "a.xlsx"
    if rows is None:
        path.write_bytes(b"PK and nothing else")
    else:
        workbook(path, one=rows)

    with pytest.raises(UnreadableError, match=told):
        list(read_parts(path))


def test_a_file_that_is_not_there_is_told(tmp_path):
    with pytest.raises(UnreadableError, match="cannot be opened"):
        list(read_parts(tmp_path / "none.csv"))
