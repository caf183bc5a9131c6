"""CSV that a spreadsheet may open."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.util.csv_text import csv_text


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx"])
def test_text_that_would_be_a_formula_is_text(text: str) -> None:
    rows = list(csv.reader(io.StringIO(csv_text(["a"], [{"a": text}]), newline="")))
    assert rows == [["a"], [f"'{text}"]]


def test_figures_and_what_is_not_there_stay_as_they_are() -> None:
    assert csv_text(["a", "b", "c"], [{"a": -1.5, "b": None}]) == "a,b,c\r\n-1.5,,\r\n"


@given(st.lists(st.fixed_dictionaries({"x": st.text("a,\"\n\r'=;é", max_size=8), "y": st.integers()}), max_size=5))
def test_whatever_the_text_a_reader_gets_the_rows(rows: list[dict[str, object]]) -> None:
    read = list(csv.DictReader(io.StringIO(csv_text(["x", "y"], rows), newline="")))
    assert len(read) == len(rows)
    assert [int(row["y"]) for row in read] == [row["y"] for row in rows]
