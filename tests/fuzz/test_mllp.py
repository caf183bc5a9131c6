"""MLLP framing over a stream that is cut anywhere, with junk and half frames in it; its memory stays where it is."""

from __future__ import annotations

import random
import tracemalloc
from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from app.util.mllp import Deframer, FrameTooLong, frame
from tests.fuzz.profile import EXAMPLES, examples
from tests.services.processes import ResidentMemory

LIMIT = 40

# What matters to the framing is likely, everything else is there.
pieces = st.one_of(
    st.sampled_from([b"\x0b", b"\x1c", b"\r", b"\x1c\r", b"\x0b\x0b", b"\x1c\x1c\r", b"\r\x1c", b"\n", b""]),
    st.binary(max_size=15),
    st.binary(max_size=LIMIT + 5).map(frame),
)
streams = st.lists(pieces, max_size=12)


def expected(stream: bytes) -> tuple[list[bytes], bool]:
    """The messages of a stream, and whether it is followed to its end, by the definition and without any chunks."""
    messages = []
    while (start := stream.find(b"\x0b")) >= 0:
        end = stream.find(b"\x1c\r", start + 1)
        body = stream[start + 1 :] if end < 0 else stream[start + 1 : end]
        if end < 0:
            # The last byte may be the 0x1C of an end that is still to come.
            return messages, len(body) <= LIMIT + 1
        if len(body) > LIMIT:
            return messages, False
        messages.append(body)
        stream = stream[end + 2 :]
    return messages, True


def fed(chunks: list[bytes]) -> tuple[list[bytes], bool]:
    deframer = Deframer(limit=LIMIT)
    messages = []
    for chunk in chunks:
        try:
            messages += deframer.feed(chunk)
        except FrameTooLong:
            return messages, False
    return messages, True


@examples(300)
@given(streams, st.data())
def test_the_messages_are_those_of_the_stream_wherever_it_is_cut(parts: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(parts)
    places = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=10)))
    chunks = [stream[start:end] for start, end in zip([0, *places], [*places, len(stream)], strict=True)]
    messages, followed = fed(chunks)
    wanted, wanted_followed = expected(stream)
    if wanted_followed or followed:
        assert (messages, followed) == (wanted, wanted_followed)
    else:  # where it breaks off, what the last chunk held before is lost with the connection
        assert messages == wanted[: len(messages)]


@examples(200)
@given(streams)
def test_one_byte_at_a_time_gives_the_same(parts: list[bytes]) -> None:
    stream = b"".join(parts)
    assert fed([bytes((byte,)) for byte in stream]) == expected(stream)


def test_the_memory_of_a_long_stream_stays_where_it_is(record_property: Callable[[str, object], None]) -> None:
    """50 chunks an example (a million in the long form of 20,000), a new deframer after each frame without end."""
    chance = random.Random(EXAMPLES)
    deframer, limit, messages = Deframer(limit=10_000), 10_000, 0
    count = 50 * max(EXAMPLES, 400)
    memory = ResidentMemory()
    tracemalloc.start()
    for number in range(count):
        if number == count // 10:
            memory.begin()
        chunk = chance.randbytes(chance.randrange(2000))
        if chance.random() < 0.5:
            chunk = chunk.replace(b"\x0b", b"") + frame(chunk.translate(None, b"\x0b\x1c"))
        try:
            messages += len(deframer.feed(chunk))
        except FrameTooLong:
            deframer = Deframer(limit=limit)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    record_property("mllp_chunks", count)
    record_property("mllp_messages", messages)
    record_property("mllp_memory_growth_mib", memory.growth())
    assert messages > 1000
    assert most < 10 * limit
