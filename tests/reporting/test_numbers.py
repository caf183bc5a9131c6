"""Figures as people write them."""

from __future__ import annotations

import pytest

from app.reporting.numbers import bytes_text, count_text, figure_text, seconds_text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "–"),
        (0, "0 s"),
        (0.00085, "850 µs"),
        (0.00123, "1.23 ms"),
        (0.0123, "12.3 ms"),
        (0.123, "123 ms"),
        (4.25, "4.25 s"),
        (99.5, "99.5 s"),
        (200, "3 min 20 s"),
        (180, "3 min"),
        (7500, "2 h 5 min"),
        (7200, "2 h"),
    ],
)
def test_seconds(seconds: float | None, text: str) -> None:
    assert seconds_text(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [(None, "–"), (0, "0 B"), (999, "999 B"), (5_540_000, "5.54 MB"), (3e15, "3,000 TB"), (12_300, "12.3 kB")],
)
def test_bytes(count: float | None, text: str) -> None:
    assert bytes_text(count).replace(".00", "") == text


@pytest.mark.parametrize(
    ("value", "text"), [(None, "–"), (12345.0, "12,345"), (0.25, "0.25"), (110.6, "111"), (17.23, "17.2")]
)
def test_counts(value: float | None, text: str) -> None:
    assert count_text(value) == text


@pytest.mark.parametrize(
    ("path", "value", "text"),
    [
        ("latency_seconds.c_store.p95", 0.0123, "12.3 ms"),
        ("wall_seconds", 61.0, "61.0 s"),
        ("rates.bytes_per_second", 1_540_000.0, "1.54 MB/s"),
        ("dicom.bytes_stored", 1000.0, "1.00 kB"),
        ("orders.completed", 1000.0, "1,000"),
    ],
)
def test_a_figure_is_written_by_what_it_is_about(path: str, value: float, text: str) -> None:
    assert figure_text(path, value) == text
