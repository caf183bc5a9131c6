"""The arrival model in a template: what each one needs, and how spans of time are written."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from app.domain.arrival import Arrival
from app.domain.template import problems_of


@pytest.mark.parametrize(
    ("arrival", "field", "problem", "cure"),
    [
        ({"model": "constant"}, "", "model constant needs a rate", "add rate: 50"),
        ({"model": "ramp", "rate": 1, "over": 1}, "", "model ramp needs a rate to come to", "add to: 100"),
        ({"model": "ramp", "rate": 1, "to": 2}, "", "model ramp needs a time to come to it", "add over: 5m"),
        ({"model": "burst", "every": 1}, "", "model burst needs a size", "add size: 200"),
        ({"model": "burst", "size": 1}, "", "model burst needs a time between bursts", "add every: 60"),
        ({"model": "profile"}, "", "model profile needs the orders of each hour", "add hourly: [24 numbers, from mid"),
        ({"model": "profile", "hourly": [0] * 24}, "", "a profile needs an hour with orders", "hourly is all zeros"),
        ({"model": "profile", "hourly": [1] * 23}, "hourly", "tuple should have at least 24 items", ""),
        ({"rate": 5}, "", "model closed takes no rate", "use model: constant or ramp or poisson, or remove rate"),
        ({"model": "poisson", "rate": 5, "speed": 2}, "", "takes no speed", "use model: profile, or remove speed"),
        ({"duration": "soon"}, "duration", "'soon' is not a duration", "write for example 90s, 10m, 1h30m or 30d"),
        ({"duration": 0}, "duration", "greater than 0", ""),
        ({"duration": "169h"}, "duration", "less than or equal to 604800", ""),
    ],
)
def test_what_is_wrong_is_said_with_its_cure(arrival: dict[str, Any], field: str, problem: str, cure: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Arrival.model_validate(arrival)
    [said] = problems_of(caught.value)
    assert said.field == field
    assert problem in said.problem
    assert said.cure.startswith(cure)


@pytest.mark.parametrize(
    ("arrival", "rate"),
    [
        ({}, None),
        ({"model": "constant", "rate": 5}, 5),
        ({"model": "poisson", "rate": 5}, 5),
        ({"model": "ramp", "rate": 5, "to": 9, "over": 1}, 9),
        ({"model": "burst", "size": 30, "every": "1m"}, 0.5),
        ({"model": "profile", "hourly": [7200] * 12 + [0] * 12, "speed": 2}, 2),
    ],
)
def test_the_rate_that_a_model_comes_to(arrival: dict[str, Any], rate: float | None) -> None:
    assert Arrival(**arrival).target_rate == rate


@pytest.mark.parametrize(("duration", "seconds"), [(90, 90), ("90", 90), ("1.5", 1.5), ("10m", 600)])
def test_a_duration_is_seconds_or_text(duration: Any, seconds: float) -> None:
    assert Arrival(duration=duration).duration == seconds
