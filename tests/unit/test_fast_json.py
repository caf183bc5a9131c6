"""The fast JSON gives what the standard library's does, or leaves it to that one."""

from __future__ import annotations

import json
import math
from collections import OrderedDict
from collections.abc import Callable
from datetime import UTC, datetime
from enum import Enum, StrEnum
from typing import Any, NamedTuple

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.domain import fast_json

SPECIAL = ("", "\x00", "\\u0000", "\ud800", "\ud83d\ude00", "NaN", "2.25.94645493562677863044655871885096000654")
TEXTS = st.text(st.characters(), max_size=8) | st.sampled_from(SPECIAL)
NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
KNOWN_KEYS = TEXTS | st.integers() | st.booleans() | st.none()


class Word(StrEnum):
    NAN = "NaN"


class Pair(NamedTuple):
    left: int
    right: str


def nested(leaves: st.SearchStrategy[Any], keys: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.recursive(
        leaves,
        lambda some: st.lists(some, max_size=4) | st.tuples(some, some) | st.dictionaries(keys, some, max_size=4),
        max_leaves=12,
    )


VALUES = nested(
    st.none() | st.booleans() | NUMBERS | TEXTS | st.sampled_from([Word.NAN, Pair(1, "a")]),
    KNOWN_KEYS | st.just(Word.NAN),
)


def outcome(call: Callable[[], Any]) -> str:
    """What came of it: the value with its types and in its order, or what was wrong."""
    try:
        return repr(call())
    except (ValueError, RecursionError) as error:
        return "RecursionError" if isinstance(error, RecursionError) else "ValueError"


# --- writing ---


@given(VALUES)
def test_what_it_writes_is_the_value_that_the_standard_library_writes(value: Any) -> None:
    try:
        written = fast_json.dumps(value)
    except TypeError:
        return
    assert repr(json.loads(written)) == repr(json.loads(json.dumps(value)))


@pytest.mark.parametrize(
    "value",
    [
        "\ud800",
        {"\ud800": 1},
        2**64,
        -(2**63) - 1,
        {1: 2},
        {Word.NAN: 1},
        {("a", "b"): 1},
        Pair(1, "a"),
        OrderedDict(a=1),
        {1},
        b"bytes",
        ...,
        datetime(2026, 1, 1, tzinfo=UTC),
    ],
    ids=repr,
)
def test_what_it_would_write_in_another_way_it_refuses(value: Any) -> None:
    for place in (value, [value], {"key": value}):
        with pytest.raises(TypeError):
            fast_json.dumps(place)


@pytest.mark.parametrize("levels", [300, 100_000])
def test_it_refuses_many_levels(levels: int) -> None:
    value: list[Any] = []
    for _ in range(levels):
        value = [value]
    with pytest.raises(TypeError):
        fast_json.dumps(value)


def test_it_refuses_a_value_that_holds_itself() -> None:
    value: dict[str, Any] = {}
    value["self"] = value
    with pytest.raises(TypeError):
        fast_json.dumps(value)


def test_numbers_that_are_not_finite_are_null() -> None:
    assert fast_json.dumps([math.nan, math.inf, -math.inf]) == b"[null,null,null]"


def test_the_members_of_an_enumeration_are_their_values() -> None:
    class Colour(Enum):
        RED = 7

    assert fast_json.dumps([Colour.RED, Word.NAN]) == b'[7,"NaN"]'


def test_what_it_does_not_know_is_asked_for() -> None:
    assert fast_json.dumps([Pair(1, "a")], default=list) == b'[[1,"a"]]'


# --- reading ---


@given(
    nested(st.none() | st.booleans() | st.integers() | st.floats() | TEXTS, KNOWN_KEYS),
    st.booleans(),
    st.sampled_from([None, 0, 1, "\t"]),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32-be"]),
)
def test_what_it_reads_is_what_the_standard_library_reads(
    value: Any, ascii_only: bool, indent: int | str | None, encoding: str
) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only, indent=indent)
    assert outcome(lambda: fast_json.loads(text)) == outcome(lambda: json.loads(text))
    body = text.encode(encoding, "surrogatepass")
    assert outcome(lambda: fast_json.loads(body)) == outcome(lambda: json.loads(body))


@given(st.text('-0123456789.eE[]{}:," \t\n\r\x00\\ua', max_size=40))
@example("")
@example("-0")
@example("1e400")
@example("NaN")
@example("18446744073709551616")
@example("-9223372036854775809")
@example("[18446744073709551616]")
@example('{"a":\r18446744073709551616}')
@example('{"a":\n\t-9223372036854775809}')
@example("[0,18446744073709551616]")
@example("[12345678901234567890.5,1234567890123456789012e-3]")
@example('["18446744073709551616",":18446744073709551616"]')
@example('{"a":1,"a":2}')
@example('"\\ud83d\\ude00"')
@example("\ufeff1")
@example('"\ud800"')
@example("[" * 1500 + "]" * 1500)
@example("[" * 100_000)
def test_any_text_is_read_or_refused_as_by_the_standard_library(text: str) -> None:
    assert outcome(lambda: fast_json.loads(text)) == outcome(lambda: json.loads(text))


@given(st.integers(min_value=-(2**80), max_value=2**80), st.sampled_from(["%d", "[%d]", "[1, %d]", '{"a":%d}']))
def test_integers_of_any_size_stay_integers(number: int, document: str) -> None:
    assert repr(fast_json.loads(document % number)) == repr(json.loads(document % number))
