"""How rows' documents are written: the fast way and the long one give the same, and every database takes it."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.adapters.database.rowset import json_serializer
from tests.unit.test_fast_json import TEXTS, Pair, Word, nested

DIALECTS = ("postgresql", "sqlite")
SPAN = datetime.fromisoformat("0002-01-01"), datetime.fromisoformat("9998-01-01")  # in each zone
ZONES = (None, UTC, timezone(timedelta(hours=-3.5)), timezone(timedelta(seconds=2670)))


class Colour(Enum):
    RED = 7


@dataclass(frozen=True)
class Thing:
    size: int


class Number(float):
    pass


ODD = (Word.NAN, Colour.RED, Pair(1, "a\x00"), Thing(3), Number("nan"), Number(1.5), Decimal("1.10"), b"b", Thing, 1j)
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([2**64, -(2**63) - 1, 2**200])
    | st.floats()
    | TEXTS
    | st.datetimes(*SPAN, timezones=st.sampled_from(ZONES))
    | st.dates()
    | st.times()
    | st.uuids()
    | st.sampled_from(ODD)
)
KEYS = TEXTS | st.integers() | st.booleans() | st.none() | st.floats() | st.just(Word.NAN)


def longhand(value: Any, moment: Callable[[datetime], str]) -> Any:
    """The value as it is to be read again, made by hand."""

    def text(value: str) -> str:
        return value.replace("\x00", "\ufffd").encode("utf-8", "replace").decode()

    match value:
        case Enum():
            return longhand(value.value, moment)
        case bool() | int() | None:
            return value
        case float():
            return float(value) if math.isfinite(value) else None
        case str():
            return text(value)
        case datetime():
            return moment(value)
        case dict():
            return {text(key_of(key)): longhand(item, moment) for key, item in value.items()}
        case list() | tuple():
            return [longhand(item, moment) for item in value]
    return text(str(value))


def key_of(key: Any) -> str:
    """As JSON writes keys."""
    if isinstance(key, str):
        return key
    return "null" if isinstance(key, float) and not math.isfinite(key) else json.dumps(key)


def moment_of(dialect: str) -> Callable[[datetime], str]:
    if dialect == "postgresql":
        return datetime.isoformat
    return lambda value: value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")


@pytest.mark.parametrize("dialect", DIALECTS)
@given(value=nested(LEAVES, KEYS))
def test_what_is_written_is_the_value_and_storable(dialect: str, value: Any) -> None:
    written = json_serializer(dialect)(value)
    assert written.encode()  # no half of a pair
    assert repr(json.loads(written)) == repr(longhand(value, moment_of(dialect)))


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("odd", [{1: 2}, 2**70, "\x00", "\ud800", math.nan, Thing(3)], ids=repr)
def test_what_takes_the_long_way_changes_nothing_of_what_stands_beside_it(dialect: str, odd: Any) -> None:
    beside = {
        "at": datetime(2026, 11, 28, 19, 30, 1, 500, UTC),
        "numbers": [1, 1.0, -0.0, 1e16, 5e-324],
        "text": 'Ä "\\" \x1f\u2028',
        "member": Colour.RED,
    }
    dump = json_serializer(dialect)
    assert json.loads(dump([beside, odd]))[0] == json.loads(dump([beside]))[0]


@pytest.mark.parametrize("dialect", DIALECTS)
def test_it_is_compact_either_way(dialect: str) -> None:
    dump = json_serializer(dialect)
    assert (
        dump({"a": [1, "ä"]}) == '{"a":[1,"ä"]}'
        and dump({"a": [1, "ä", 2**64]}) == '{"a":[1,"ä",18446744073709551616]}'
    )


@pytest.mark.parametrize("key", [("a", 1), b"a", datetime(2026, 1, 1, tzinfo=UTC)], ids=repr)
def test_keys_that_no_document_has_are_refused(key: Any) -> None:
    with pytest.raises(TypeError):
        json_serializer("postgresql")({key: 1})
