"""MLLP blocks in a stream of bytes that TCP may cut and join anywhere."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.util.mllp import Deframer, FrameTooLong, frame

MESSAGES = st.lists(st.binary(max_size=60).map(lambda text: text.translate(None, b"\x0b\x1c")), max_size=6)
JUNK = st.binary(max_size=10).map(lambda text: text.translate(None, b"\x0b"))


def cut(stream: bytes, places: list[int]) -> list[bytes]:
    """The stream in pieces, cut at these places (taken modulo its length)."""
    ends = sorted({place % (len(stream) + 1) for place in places} | {len(stream)})
    return [stream[start:end] for start, end in zip([0, *ends], ends, strict=False)]


@given(MESSAGES, st.data())
def test_messages_come_out_whole_however_the_stream_is_cut(messages: list[bytes], data: st.DataObject) -> None:
    gaps = [data.draw(JUNK) for _ in messages]
    stream = b"".join(gap + frame(message) for gap, message in zip(gaps, messages, strict=True))
    deframer = Deframer()
    chunks = cut(stream, data.draw(st.lists(st.integers(min_value=0), max_size=20)))

    assert [message for chunk in chunks for message in deframer.feed(chunk)] == messages
    assert deframer.skipped == sum(len(gap.translate(None, b"\r\n")) for gap in gaps)
    assert not deframer.inside


def test_one_byte_at_a_time() -> None:
    deframer = Deframer()
    stream = frame(b"MSH|first\r") + frame(b"MSH|second\r")
    assert [message for byte in stream for message in deframer.feed(bytes([byte]))] == [b"MSH|first\r", b"MSH|second\r"]


@pytest.mark.parametrize("between", [b"", b"\r", b"\n", b"\r\n", b"\r\n\r\n"])
def test_line_ends_between_blocks_are_no_junk(between: bytes) -> None:
    deframer = Deframer()
    assert deframer.feed(frame(b"a") + between + frame(b"b") + between) == [b"a", b"b"]
    assert deframer.skipped == 0


def test_junk_before_a_block_is_skipped_and_counted() -> None:
    deframer = Deframer()
    assert deframer.feed(b"HTTP/1.1 400\r\n" + frame(b"a")) == [b"a"]
    assert deframer.skipped == len("HTTP/1.1 400")


def test_a_separator_inside_of_a_message_does_not_end_it() -> None:
    assert Deframer().feed(frame(b"a\x1cb\rc")) == [b"a\x1cb\rc"]


def test_inside_until_the_end_of_the_block() -> None:
    deframer = Deframer()
    deframer.feed(b"\x0bMSH|\x1c")
    assert deframer.inside
    assert deframer.feed(b"\r") == [b"MSH|"]
    assert not deframer.inside


@pytest.mark.parametrize("size", [1, 7, 100])
def test_a_message_of_the_largest_size_passes_and_a_larger_one_does_not(size: int) -> None:
    def feed_all(message: bytes) -> list[bytes]:
        deframer = Deframer(limit=100)
        stream = frame(message)
        pieces = (stream[start : start + size] for start in range(0, len(stream), size))
        return [complete for piece in pieces for complete in deframer.feed(piece)]

    assert feed_all(b"x" * 100) == [b"x" * 100]
    with pytest.raises(FrameTooLong, match="100 bytes"):
        feed_all(b"x" * 101)


def test_an_endless_block_is_given_up_at_the_limit() -> None:
    deframer = Deframer(limit=1000)
    deframer.feed(b"\x0b")
    with pytest.raises(FrameTooLong):
        for _ in range(20):
            deframer.feed(b"x" * 100)


def test_a_chunk_that_is_nothing_but_a_beginning_is_no_block() -> None:
    deframer = Deframer()
    assert deframer.feed(b"\x0b") == []
    assert deframer.feed(b"a\x1c\r") == [b"a"]
