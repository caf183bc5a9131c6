"""Spans of time as people write them: ``90s``, ``10m``, ``1h30m``, ``30d``, ``2w``."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, WithJsonSchema

LONGEST = 604_800  # seconds of a template's: a week
_MOST = 36_500 * 86_400.0  # a hundred years: dates stay dates

_UNITS = {"w": 604_800.0, "d": 86_400.0, "h": 3600.0, "m": 60.0, "s": 1.0}
_NUMBER = r"\d{1,9}(?:\.\d{1,9})?"
_SPAN = re.compile("(?=.)" + "".join(rf"(?:(?P<{unit}>{_NUMBER}){unit})?" for unit in _UNITS), re.ASCII)
_SECONDS = re.compile(_NUMBER, re.ASCII)
_EXAMPLES = "write for example 90s, 10m, 1h30m or 30d"


def parse_duration(text: str) -> float:
    """Seconds, above 0; a number needs its unit.

    Raises:
        ValueError: with what is wrong and an example.
    """
    match = _SPAN.fullmatch(text.replace(" ", ""))
    if match is None:
        raise ValueError(f"{text!r} is not a duration; {_EXAMPLES}")
    seconds = sum(_UNITS[unit] * float(number) for unit, number in match.groupdict().items() if number)
    if not 0 < seconds <= _MOST:
        raise ValueError(f"{text!r} is out of range; {_EXAMPLES}")
    return seconds


def _seconds(value: Any) -> Any:
    is_text = isinstance(value, str) and not _SECONDS.fullmatch(value)
    return parse_duration(value) if is_text else value


_SCHEMA = {
    "anyOf": [
        {"type": "number", "exclusiveMinimum": 0, "maximum": LONGEST},
        {"type": "string", "examples": ["90s", "10m", "1h30m"]},
    ],
    "description": "seconds, or text",
}
Duration = Annotated[float, BeforeValidator(_seconds), Field(gt=0, le=LONGEST), WithJsonSchema(_SCHEMA)]
