"""Spans of time as people write them: ``90s``, ``30m``, ``12h``, ``30d``, ``2w``."""

from __future__ import annotations

import re

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0}
_SPAN = re.compile(r"\s*(?P<number>\d{1,9}(?:\.\d{1,9})?)\s*(?P<unit>[smhdw])\s*", re.ASCII)
LONGEST = 36_500 * 86_400.0  # a hundred years: dates stay dates


def parse_duration(text: str) -> float:
    """Seconds, above 0.

    Raises:
        ValueError: with what is wrong and an example.
    """
    match = _SPAN.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not a duration; write for example 12h, 30d or 8w")
    seconds = float(match["number"]) * _UNITS[match["unit"]]
    if not 0 < seconds <= LONGEST:
        raise ValueError(f"{text!r} is out of range; write for example 12h, 30d or 8w")
    return seconds
