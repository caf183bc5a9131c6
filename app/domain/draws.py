"""Seeded draws by hashing: the same key gives the same draws on every machine and every version of Python.

``random.Random`` promises that for ``random()`` only, and is slow to seed; here every order is planned from fresh
streams of its own, so that it can be planned without the ones before it.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from hashlib import blake2b
from typing import Final, TypeVar

T = TypeVar("T")

_TO_FRACTION: Final = 2.0**-53
_unpack = struct.Struct("<8Q").unpack


class Draws:
    """A stream of uniform draws that depends on its key alone: Draws(seed, "order", 17)."""

    __slots__ = ("_blocks", "_key", "_words")

    def __init__(self, *key: int | str) -> None:
        self._key = "/".join(map(str, key)).encode()
        self._blocks = 1
        self._words = list(_unpack(blake2b(self._key).digest()))  # block 0: no salt is a salt of zeros

    # Each draw takes its word by itself: they are most of what planning an order costs, and a call is most of a draw.

    def below(self, bound: int) -> int:
        """An integer of 0..bound-1."""
        return (self._words or self._next_block()).pop() * bound >> 64

    def between(self, low: int, high: int) -> int:
        """An integer of low..high, both included."""
        return low + ((self._words or self._next_block()).pop() * (high - low + 1) >> 64)

    def fraction(self) -> float:
        """A number of [0, 1)."""
        return ((self._words or self._next_block()).pop() >> 11) * _TO_FRACTION

    def chance(self, share: float) -> bool:
        """True in this share of draws; never for 0, always for 1."""
        return ((self._words or self._next_block()).pop() >> 11) * _TO_FRACTION < share

    def pick(self, items: Sequence[T]) -> T:
        return items[(self._words or self._next_block()).pop() * len(items) >> 64]

    def _next_block(self) -> list[int]:
        """Eight more words, of 64 bits each; they are drawn from the end."""
        digest = blake2b(self._key, salt=self._blocks.to_bytes(8, "big")).digest()
        self._blocks += 1
        self._words = list(_unpack(digest))
        return self._words


def first_chance(share: float, key: str) -> bool:
    """What ``Draws(key).chance(share)`` says first, for streams that nothing else is drawn from."""
    if share <= 0:
        return False
    word = int.from_bytes(blake2b(key.encode()).digest()[-8:], "little")  # the last of the block, which comes first
    return (word >> 11) * _TO_FRACTION < share
