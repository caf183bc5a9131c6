"""Spans of time as people write them."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.duration import parse_duration
from app.domain.errors import InvalidInput
from app.settings import load_settings


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", 90),
        ("30m", 1800),
        ("1.5h", 5400),
        (" 30 d ", 2_592_000),
        ("2w", 1_209_600),
        ("1h 30m 5s", 5405),
        ("1d2h", 93_600),
    ],
)
def test_numbers_and_their_units(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "30", "d", "-1d", "0d", "1y", "5m1h", "10 minutes", "1h5", "99999999w", "٣d", "1e3d"]
)
def test_anything_else_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="write for example 90s, 10m, 1h30m or 30d"):
        parse_duration(text)


@given(st.text("0123456789.wdhms ", max_size=8))
def test_any_text_is_a_span_of_time_or_refused(text: str) -> None:
    with suppress(ValueError):
        assert parse_duration(text) > 0


def test_the_retention_of_the_settings_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_settings().retention_seconds is None
    monkeypatch.setenv("YEETER_RETENTION", "30d")
    assert load_settings().retention_seconds == 30 * 86_400
    assert load_settings().as_environment()["YEETER_RETENTION"] == "30d"
    monkeypatch.setenv("YEETER_RETENTION", "a month")
    with pytest.raises(InvalidInput, match="YEETER_RETENTION"):
        load_settings()
