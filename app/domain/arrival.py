"""The arrival model of a template: when its orders are sent. :mod:`app.domain.schedule` has the due times.

``closed`` sends as fast as orders are acknowledged, so a slow receiver slows the load down. All others are open: they
have a due time for each order, whatever the receiver does.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from app.domain.duration import Duration

HOURS = 24
HOUR = 3600.0  # seconds

_PARTS: Final[dict[str, tuple[str, ...]]] = {
    "closed": (),
    "constant": ("rate",),
    "ramp": ("rate", "to", "over"),
    "burst": ("size", "every"),
    "poisson": ("rate",),
    "profile": ("hourly", "speed"),
}
_NEEDED: Final = {  # what each is, and an example; all but speed, which has a default
    "rate": ("a rate", "50"),
    "to": ("a rate to come to", "100"),
    "over": ("a time to come to it", "5m"),
    "size": ("a size", "200"),
    "every": ("a time between bursts", "60"),
    "hourly": ("the orders of each hour", "[24 numbers, from midnight]"),
}

Rate = Annotated[float, Field(gt=0, le=100_000)]


class Arrival(BaseModel):
    """When orders are sent. An open model with a ``duration`` has as many orders as are due within it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: Literal["closed", "constant", "ramp", "burst", "poisson", "profile"] = "closed"
    duration: Duration | None = Field(default=None, description="seconds, or text like 10m; nothing is begun after it")
    rate: Rate | None = Field(default=None, description="orders a second; of a ramp, at its beginning")
    to: Rate | None = Field(default=None, description="orders a second at the end of a ramp, and from then on")
    over: Duration | None = Field(default=None, description="how long a ramp takes")
    size: int | None = Field(default=None, ge=1, le=100_000, description="orders of a burst, all due at once")
    every: Duration | None = Field(default=None, description="from one burst to the next")
    hourly: tuple[Annotated[float, Field(ge=0, le=10_000_000)], ...] | None = Field(
        default=None, min_length=HOURS, max_length=HOURS, description="orders in each hour of the day, from midnight"
    )
    speed: float | None = Field(default=None, gt=0, le=3600, description="of a profile: 60 plays an hour a minute")

    @model_validator(mode="after")
    def _has_its_parts_and_no_others(self) -> Arrival:
        own = _PARTS[self.model]
        for part, (noun, example) in _NEEDED.items():
            if part in own and getattr(self, part) is None:
                raise ValueError(f"model {self.model} needs {noun}; add {part}: {example}")
        for part in (*_NEEDED, "speed"):
            if part not in own and getattr(self, part) is not None:
                raise ValueError(f"model {self.model} takes no {part}; use model: {_whose(part)}, or remove {part}")
        if self.hourly is not None and not any(self.hourly):
            raise ValueError("a profile needs an hour with orders; hourly is all zeros")
        return self

    @property
    def is_open(self) -> bool:
        return self.model != "closed"

    @property
    def target_rate(self) -> float | None:
        """Orders a second that the model comes to in the long run; None for a closed one."""
        match self.model:
            case "ramp":
                return self.to
            case "burst":
                return (self.size or 0) / (self.every or 1.0)
            case "profile":
                return sum(self.hourly or ()) * (self.speed or 1.0) / (HOURS * HOUR)
            case _:
                return self.rate


def _whose(part: str) -> str:
    """The models that a part belongs to, as in a sentence."""
    return " or ".join(model for model, parts in _PARTS.items() if part in parts)
