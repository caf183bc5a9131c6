"""Charts: well-formed, within their frame, and with round ticks."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.reporting.charts import HEIGHT, WIDTH, Chart, Series, round_ticks
from app.reporting.numbers import count_text, seconds_text

VALUES = st.just(0.0) | st.floats(min_value=1e-9, max_value=1e9)
POINTS = st.lists(st.tuples(VALUES, VALUES), min_size=1, max_size=30).map(sorted)


@given(POINTS, POINTS, st.booleans())
def test_every_point_is_inside_the_frame(
    one: list[tuple[float, float]], two: list[tuple[float, float]], logarithmic: bool
) -> None:
    chart = Chart(
        "<t> & 'u'", [Series("a<b", one), Series("b", two)], seconds_text, count_text, logarithmic=logarithmic
    )
    svg = ET.fromstring(chart.svg())
    lines = svg.findall("polyline")
    places = [place.split(",") for line in lines for place in line.attrib["points"].split()]
    places += [[circle.attrib["cx"], circle.attrib["cy"]] for circle in svg.findall("circle")]
    assert len(places) == len(one) + len(two)
    assert all(0 <= float(x) <= WIDTH and 0 <= float(y) <= HEIGHT for x, y in places)
    assert svg.attrib["aria-label"].startswith("<t> & 'u': a<b at most ")


@given(st.just(0.0) | st.floats(min_value=1, max_value=1e4), st.floats(min_value=1e-3, max_value=1e6))
def test_ticks_are_few_and_evenly_spaced(first: float, span: float) -> None:
    ticks = round_ticks(first, first + span)
    assert 1 <= len(ticks) <= 6
    distances = [b - a for a, b in pairwise(ticks)]
    assert distances == pytest.approx([distances[0]] * len(distances)) if distances else True


@pytest.mark.parametrize(
    ("last", "ticks"),
    [(4.0, [0, 1, 2, 3, 4]), (10.0, [0, 5, 10]), (400.0, [0, 100, 200, 300, 400]), (0.7, [0, 0.2, 0.4, 0.6])],
)
def test_ticks_are_round(last: float, ticks: list[float]) -> None:
    assert round_ticks(0.0, last) == ticks


def test_tick_labels_say_no_more_than_they_need() -> None:
    svg = Chart("t", [Series("a", [(0, 0), (4, 0.03)])], seconds_text, seconds_text).svg()
    texts = [text.text for text in ET.fromstring(svg).findall("text")]
    assert texts == ["0 s", "10 ms", "20 ms", "30 ms", "0 s", "1 s", "2 s", "3 s", "4 s"]


def test_nothing_to_draw_is_nothing() -> None:
    assert Chart("t", [Series("a", [])], seconds_text, count_text).svg() == ""
