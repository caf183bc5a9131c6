"""Request bodies: what is taken; what is refused is in the table of problems."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.api.documents import MAX_DEPTH, MalformedDocument, parse_json, parse_yaml

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=20)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=20,
)


@given(VALUES)
def test_every_json_value_is_taken(value: object) -> None:
    assert parse_json(json.dumps(value).encode()) == value


@given(st.binary(max_size=200))
def test_any_bytes_are_a_value_or_refused(body: bytes) -> None:
    for parse in (parse_json, parse_yaml):
        try:
            parse(body)
        except MalformedDocument as error:
            assert str(error)


@pytest.mark.parametrize("parse", [parse_json, parse_yaml])
def test_depth_is_bounded_and_not_before(parse: object) -> None:
    assert callable(parse)
    parse(b"[" * (MAX_DEPTH - 1) + b"1" + b"]" * (MAX_DEPTH - 1))
    with pytest.raises(MalformedDocument, match="nested more than"):
        parse(b"[" * MAX_DEPTH + b"1" + b"]" * MAX_DEPTH)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: .nan", "a: nan"),
        ("a: [1, .inf]", "a.1: inf"),
        ("a: !!binary aGk=", "a: bytes"),
        ("a: !!set {x}", "a: set"),
        ("a: 2026-01-01T00:00:00", "a: datetime"),
        ("a: 2026-13-01", "month"),
        ("{a: b", "line 1"),
        ("a: b\n---\nc: d", "another document"),
        ("? [x]\n: y", "line 1"),
    ],
)
def test_yaml_that_json_could_not_say_is_refused(text: str, problem: str) -> None:
    with pytest.raises(MalformedDocument, match=problem):
        parse_yaml(text.encode())
