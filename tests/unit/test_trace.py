"""The trace context: what is read and written of it, and that it follows from what it names."""

from __future__ import annotations

import pytest

from app.domain.trace import TraceContext, new_trace, parse_traceparent

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@pytest.mark.parametrize("sampled", [True, False])
def test_what_is_written_is_read_again(sampled: bool) -> None:
    context = TraceContext(TRACE, SPAN, sampled)
    assert str(context) == f"00-{TRACE}-{SPAN}-0{int(sampled)}"
    assert parse_traceparent(str(context)) == context


def test_a_later_version_may_say_more() -> None:
    assert parse_traceparent(f"01-{TRACE}-{SPAN}-03-more") == TraceContext(TRACE, SPAN)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "something else",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01-more",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE}-{SPAN}",
        f"00-{TRACE}-{SPAN}-01\n",
    ],
)
def test_anything_else_counts_as_nothing(text: str) -> None:
    assert parse_traceparent(text) is None


def test_a_span_below_has_an_identity_of_its_own_in_the_same_trace_by_the_same_decision() -> None:
    context = TraceContext(TRACE, SPAN, sampled=False)
    first, again, second = context.child("1"), context.child("1"), context.child("2")
    assert first == again and (first.trace_id, first.sampled) == (TRACE, False)
    assert len({context.span_id, first.span_id, second.span_id}) == 3


def test_a_trace_follows_from_what_it_is_of() -> None:
    assert new_trace("a run") == new_trace("a run") != new_trace("another")
    assert parse_traceparent(str(new_trace("a run"))) == new_trace("a run")
