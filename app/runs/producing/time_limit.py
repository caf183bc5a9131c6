"""A run's own time limit, which counts from its beginning, whoever runs it and whether or not it is paused."""

from __future__ import annotations

import time


class TimeLimit:
    """``seconds`` of which ``used`` are over already; None: there is no limit."""

    def __init__(self, seconds: float | None, used: float = 0.0) -> None:
        self._seconds = seconds
        self._end = None if seconds is None else time.monotonic() + seconds - used

    @property
    def is_over(self) -> bool:
        return self._end is not None and time.monotonic() >= self._end

    @property
    def reason(self) -> str:
        return f"not done within {self._seconds:g} s, its time limit"
