"""Spans of time as people write them: a number of seconds, or text like ``90s``, ``10m`` or ``1h30m``."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, WithJsonSchema

LONGEST = 604_800  # seconds: a week

_NUMBER = r"\d+(?:\.\d+)?"
_TEXT = re.compile(rf"(?=.)(?:(?P<h>{_NUMBER})h)?(?:(?P<m>{_NUMBER})m)?(?:(?P<s>{_NUMBER})s?)?")
_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0}


def parse_duration(text: str) -> float:
    """Seconds.

    Raises:
        ValueError: it is no span of time; with an example.
    """
    match = _TEXT.fullmatch(text.replace(" ", ""))
    if match is None:
        raise ValueError(f"{text!r} is no duration; write seconds, or text like 90s, 10m or 1h30m")
    return sum(_SECONDS[unit] * float(number) for unit, number in match.groupdict().items() if number)


def _seconds(value: Any) -> Any:
    return parse_duration(value) if isinstance(value, str) else value


_SCHEMA = {
    "anyOf": [
        {"type": "number", "exclusiveMinimum": 0, "maximum": LONGEST},
        {"type": "string", "examples": ["90s", "10m", "1h30m"]},
    ],
    "description": "seconds, or text",
}
Duration = Annotated[float, BeforeValidator(_seconds), Field(gt=0, le=LONGEST), WithJsonSchema(_SCHEMA)]
