"""One table in every form: what is read back is what was in it, and nothing in it is run by whoever opens it."""

from __future__ import annotations

import csv
import io
import re
from xml.etree import ElementTree as ET

import duckdb
import msgspec
import openpyxl
import pypdf
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpcjobs.model.report import LARGEST, Column, Table, misshapen
from hpcjobs.reports.formats import FORMATS, render
from hpcjobs.reports.plots import drawable, svg
from hpcjobs.reports.shown import shown

COLUMNS = (
    Column("user", "user", "", "Whose.", True),
    Column("gpu_hours", "GPU-hours", "h", "Hours."),
    Column("wait_mean_s", "mean wait", "s", "Wait."),
    Column("failed_share", "failed", "share", "Share."),
)
ODD = ["=cmd|' /C calc'!A0", "<script>alert(1)</script>", "größer 漢", "-2+3", 'a,b\n"c"', "$x$ _y", "", "{{ 7 * 7 }}"]
ROWS = tuple((name, 1000.5 + place, None if place else 90.0, 0.25) for place, name in enumerate(ODD))
TABLE = Table("Usage", "2026-10 (UTC)", 0, 1, COLUMNS, ROWS, ("", 8032.0, 90.0, 0.25), 3, 1_790_000_000, ("A note.",))
NOBODY = Table("Usage", "2026-10 (UTC)", 0, 1, COLUMNS, (), ("", 0, None, None))


def test_json_is_the_table():
    assert msgspec.json.decode(render(TABLE, "json"), type=Table) == TABLE


def test_csv_has_all_rows_and_no_formula():
    header, *rows = csv.reader(io.StringIO(render(TABLE, "csv").decode()))
    assert header == ["user", "gpu_hours", "wait_mean_s", "failed_share"]
    assert [row[0].removeprefix("'") for row in rows] == ODD
    assert not any(row[0].startswith(("=", "+", "-", "@")) for row in rows)
    assert [row[1:] for row in rows][:2] == [["1000.5", "90.0", "0.25"], ["1001.5", "", "0.25"]]


def test_parquet_has_words_and_numbers(tmp_path):
    (tmp_path / "a.parquet").write_bytes(render(TABLE, "parquet"))
    assert duckdb.sql(f"FROM '{tmp_path}/a.parquet'").fetchall() == [*ROWS]
    (tmp_path / "b.parquet").write_bytes(render(NOBODY, "parquet"))
    assert duckdb.sql(f"SELECT count(gpu_hours) FROM '{tmp_path}/b.parquet'").fetchall() == [(0,)]


def test_a_workbook_has_numbers_words_a_total_and_what_columns_are():
    book = openpyxl.load_workbook(io.BytesIO(render(TABLE, "xlsx")))
    rows = list(book["Report"].iter_rows(values_only=True))
    assert rows[0] == ("user", "GPU-hours [h]", "mean wait [s]", "failed [share]")
    assert [row[0] or "" for row in rows[1:-1]] == ODD
    assert all(cell.data_type != "f" for row in book["Report"].iter_rows() for cell in row)
    assert rows[1][1:] == (1000.5, 90, 0.25)
    assert rows[-1] == ("total", 8032, 90, 0.25)
    about = list(book["About"].iter_rows(values_only=True))
    assert {("gpu_hours", "h", "Hours."), ("rows left out", None, "3")} <= {*about}


def test_a_page_shows_what_names_are_and_needs_nothing_else():
    page = render(TABLE, "html").decode()
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert "{{ 7 * 7 }}" in page
    assert not re.search(r"(?:src|href)=[\"']?https?:|url\([^#]|@import", page)
    assert "3 more rows are left out" in page
    assert "A note." in page
    assert "25.0 %" in page
    assert page.count("<tr>") == len(ROWS) + 2


def test_a_picture_is_xml_and_the_same_each_time():
    assert drawable(TABLE)
    assert ET.fromstring(svg(TABLE)).tag.endswith("svg")
    assert svg(TABLE) == svg(TABLE)
    over_time = Table(
        "Usage", "2026", 0, 1, (Column("month", "month", text=True), *COLUMNS),
        tuple((f"2026-{month:02d}", f"u{user}", float(month * user), None, None) for month in range(1, 13)
              for user in range(1, 12)),
    )  # fmt: skip
    names = ET.fromstring(svg(over_time)).itertext()
    assert {"4 others", "u11", "2026-12"} <= {name.strip() for name in names}


def test_the_hour_that_clocks_have_twice_stands_in_the_order_of_time():
    hours = ["2026-10-25 01:00+0200", "2026-10-25 02:00+0200", "2026-10-25 02:00+0100", "2026-10-25 03:00+0100"]
    columns = (Column("hour", "hour", "", "An hour.", True), COLUMNS[1])
    drawn = svg(msgspec.structs.replace(TABLE, columns=columns, rows=tuple((hour, 1.0) for hour in hours), total=None))
    assert [hour for hour in re.findall(r"2026-10-25 \d\d:00\+0\d00", drawn) if hour in hours] == hours


def test_a_table_without_words_has_a_total_in_a_workbook_too():
    table = msgspec.structs.replace(TABLE, columns=COLUMNS[1:], rows=((1.0, 2.0, 0.5),), total=(1.0, 2.0, 0.5))
    rows = list(openpyxl.load_workbook(io.BytesIO(render(table, "xlsx")))["Report"].iter_rows(values_only=True))
    assert rows[1:] == [(1, 2, 0.5), (1, 2, 0.5)]


words, numbers = st.text(max_size=12), st.none() | st.integers(-(10**18), 10**18) | st.floats(-LARGEST, LARGEST)
titled = st.builds(Column, title=words, unit=st.sampled_from(["", "h", "s", "share", "EUR"]), definition=words,
    name=st.sampled_from(["day", "hour", "select", "group", "a", "b"]), text=st.booleans(),
    digits=st.integers(0, 9))  # fmt: skip


@st.composite
def tables(draw: st.DrawFn) -> Table:
    columns = sorted(draw(st.lists(titled, min_size=1, unique_by=lambda one: one.name)), key=lambda one: not one.text)
    row = st.tuples(*(words if column.text else numbers for column in columns))
    rows = draw(st.lists(row, max_size=4 if columns[0].text else 1))
    notes = tuple(draw(st.lists(words, max_size=2)))
    return Table(draw(words), draw(words), 0, 1, tuple(columns), tuple(rows), draw(st.none() | row), notes=notes)


@given(tables(), st.sampled_from([*FORMATS]))
def test_whatever_is_not_misshapen_is_a_report_in_every_form(table, form):
    assert not misshapen(table)
    assert render(table, form)


def test_paper_has_the_rows_and_the_total():
    paper = pypdf.PdfReader(io.BytesIO(render(TABLE, "pdf")))
    text = "\n".join(page.extract_text() for page in paper.pages)
    assert "1,000.50" in text
    assert "total" in text
    assert "größer" in text
    assert paper.metadata is not None
    assert paper.metadata.title == "Usage, 2026-10 (UTC)"


@pytest.mark.parametrize("form", FORMATS)
def test_nothing_is_a_report_too(form):
    assert render(NOBODY, form)


@pytest.mark.parametrize(
    ("unit", "cell", "text"),
    [("s", 12.4, "12 s"), ("s", 1200, "20 min"), ("s", 9000, "2.5 h"), ("s", 200_000, "2.3 d"),
     ("share", 0.5, "50.0 %"), ("", 12_345, "12,345"), ("", 1.25, "1.25"), ("h", 1234.5, "1,234.50"), ("h", None, "-")],
)  # fmt: skip
def test_cells_are_shown_as_people_read_them(unit, cell, text):
    assert shown(Column("x", "x", unit), cell) == text
