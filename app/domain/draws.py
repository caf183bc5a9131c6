"""Seeded draws by hashing: the same key gives the same draws on every machine and every version of Python.

``random.Random`` promises that for ``random()`` only, and is slow to seed; here every order is planned from fresh
streams of its own, so that it can be planned without the ones before it.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from hashlib import blake2b
from typing import TypeVar

T = TypeVar("T")

_BLOCK = struct.Struct("<8Q")


class Draws:
    """A stream of uniform draws that depends on its key alone: Draws(seed, "order", 17)."""

    __slots__ = ("_blocks", "_key", "_words")

    def __init__(self, *key: int | str) -> None:
        self._key = "/".join(map(str, key)).encode()
        self._blocks = 0
        self._words: list[int] = []

    def below(self, bound: int) -> int:
        """An integer of 0..bound-1."""
        return self._word() * bound >> 64

    def between(self, low: int, high: int) -> int:
        """An integer of low..high, both included."""
        return low + self.below(high - low + 1)

    def fraction(self) -> float:
        """A number of [0, 1)."""
        return (self._word() >> 11) * 2.0**-53

    def chance(self, share: float) -> bool:
        """True in this share of draws; never for 0, always for 1."""
        return self.fraction() < share

    def pick(self, items: Sequence[T]) -> T:
        return items[self.below(len(items))]

    def _word(self) -> int:
        if not self._words:
            digest = blake2b(self._key, digest_size=64, salt=self._blocks.to_bytes(8, "big")).digest()
            self._words = list(_BLOCK.unpack(digest))
            self._blocks += 1
        return self._words.pop()
