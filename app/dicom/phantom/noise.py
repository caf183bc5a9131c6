"""Noise: one pool for each strength and size, of which every instance takes another stretch."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

_SHIFTS = 1 << 16  # how many stretches of a pool there are

Pixels = npt.NDArray[np.uint16]


def raw_words(seed: int, count: int) -> npt.NDArray[np.uint64]:
    """Words of the PCG64 generator: the same on every platform and with every release of numpy."""
    return np.asarray(np.random.PCG64(seed).random_raw(count), dtype=np.uint64)


def add_noise(clean: Pixels, strength: int, key: bytes, out: Pixels | None = None) -> Pixels:
    """``clean`` plus noise that depends on ``key`` (at least 2 bytes) only; contiguous, in clean's shape.

    It is written to ``out`` if given, which is then the result.

    The noise is nearly normal with a standard deviation of ``strength`` and never beyond ``reach(strength)``, which
    ``clean`` must keep as a margin from both ends of its range.
    """
    start = int.from_bytes(key[:2], "little")
    stretch = _pool(strength, clean.size)[start : start + clean.size]
    return np.add(clean, stretch.reshape(clean.shape), out=out)


def reach(strength: int) -> int:
    """The largest absolute value of the noise."""
    return strength * 7 // 2


@lru_cache(maxsize=8)
def _pool(strength: int, size: int) -> Pixels:
    """Sums of four random bytes, scaled; negative values wrap, and adding them to unsigned pixels unwraps them."""
    count = size + _SHIFTS
    quarters = raw_words(seed=97, count=(count + 1) // 2).view(np.uint8).reshape(-1, 4)
    total = quarters.sum(axis=1, dtype=np.int32)[:count] - 510  # standard deviation 147.8, range 510
    pool: Pixels = (total * strength // 148).astype(np.int16).view(np.uint16)
    pool.setflags(write=False)
    return pool
