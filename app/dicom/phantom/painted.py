"""What is painted once and kept: while a thread paints, the others that need a painting wait, whichever it is.

Threads that start on the same examinations at once would all paint them, and take the interpreter's lock from each
other between any two of the painter's many small steps: four of them were seen to take twice as long as one.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from functools import lru_cache, wraps
from typing import TypeVar

T = TypeVar("T")

_painting = threading.RLock()  # of the whole phantom: one kept thing is painted from others


def kept(most: int) -> Callable[[Callable[..., T]], Callable[..., T]]:
    """Keep the ``most`` last used results, by arguments that can be hashed; thread-safe, and each is made once."""

    def decorate(paint: Callable[..., T]) -> Callable[..., T]:
        remembered = lru_cache(maxsize=most)(paint)

        @wraps(paint)
        def get(*args: Hashable, **kwargs: Hashable) -> T:
            with _painting:
                return remembered(*args, **kwargs)

        return get

    return decorate
