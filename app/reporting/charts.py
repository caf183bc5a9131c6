"""Line charts as SVG text: axes that begin at zero, a few round ticks, a title for those who do not see them.

Colours are the page's (``--series-1`` ...); what a chart shows is beside it as a table, for whoever wants the numbers.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil, floor, log10

from markupsafe import Markup

WIDTH, HEIGHT = 480, 220
_LEFT, _RIGHT, _TOP, _BOTTOM = 62, 10, 10, 30  # margins
_TICKS = 4

Label = Callable[[float], str]
Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Series:
    """``points`` by rising x."""

    name: str
    points: Sequence[Point]


@dataclass(frozen=True, slots=True)
class Chart:
    """A title, lines, and how to write the values of either axis."""

    title: str
    series: Sequence[Series]
    x_label: Label
    y_label: Label
    first_x: float = 0.0
    logarithmic: bool = False  # the y axis: it then begins at the decade of the least value

    def svg(self) -> Markup:
        """Empty when there is nothing to draw."""
        drawn = [(index, each) for index, each in enumerate(self.series, start=1) if each.points]
        if not drawn:
            return Markup()
        plane = _Plane.around([point for _, each in drawn for point in each.points], self.first_x, self.logarithmic)
        parts = [
            Markup('<svg viewBox="0 0 {} {}" role="img" aria-label="{}">').format(WIDTH, HEIGHT, self._description()),
            *(self._y_tick(plane, value) for value in plane.y_ticks),
            *(self._x_tick(plane, value) for value in plane.x_ticks),
            *(_line(plane, index, each.points) for index, each in drawn),
            Markup("</svg>"),
        ]
        return Markup("\n").join(parts)

    def _description(self) -> str:
        most = {each.name: max(y for _, y in each.points) for each in self.series if each.points}
        return f"{self.title}: {', '.join(f'{name} at most {self.y_label(value)}' for name, value in most.items())}"

    def _y_tick(self, plane: _Plane, value: float) -> Markup:
        y = plane.y(value)
        line = Markup('<path class="grid" d="M{} {:.1f}H{}"/>').format(_LEFT, y, WIDTH - _RIGHT)
        text = Markup('<text x="{}" y="{:.1f}" text-anchor="end">{}</text>')
        return line + text.format(_LEFT - 6, y + 4, _round(self.y_label(value)))

    def _x_tick(self, plane: _Plane, value: float) -> Markup:
        x = plane.x(value)
        anchor = "end" if x > WIDTH - 40 else "middle"
        text = Markup('<text x="{:.1f}" y="{}" text-anchor="{}">{}</text>')
        return text.format(x, HEIGHT - 8, anchor, _round(self.x_label(value)))


@dataclass(frozen=True, slots=True)
class _Plane:
    """From values to places."""

    left: float
    right: float
    low: float  # of y, as a logarithm where that is so
    high: float
    logarithmic: bool
    x_ticks: Sequence[float]
    y_ticks: Sequence[float]

    @classmethod
    def around(cls, points: Sequence[Point], left: float, logarithmic: bool) -> _Plane:
        right = max(max(x for x, _ in points), left + 1e-9)
        most = max(y for _, y in points)
        x_ticks = round_ticks(left, right)
        if logarithmic:
            least = min((y for _, y in points if y > 0), default=1.0)
            low, high = floor(log10(least)), max(ceil(log10(max(most, least))), floor(log10(least)) + 1)
            step = ceil((high - low) / (_TICKS + 1))
            return cls(left, right, low, high, True, x_ticks, [10.0**power for power in range(low, high + 1, step)])
        y_ticks = round_ticks(0.0, most or 1.0)
        return cls(left, right, 0.0, max(most, y_ticks[-1]) or 1.0, False, x_ticks, y_ticks)

    def x(self, value: float) -> float:
        return _LEFT + (value - self.left) / (self.right - self.left) * (WIDTH - _LEFT - _RIGHT)

    def y(self, value: float) -> float:
        value = log10(max(value, 10.0**self.low)) if self.logarithmic else value
        return HEIGHT - _BOTTOM - (value - self.low) / (self.high - self.low) * (HEIGHT - _BOTTOM - _TOP)


def round_ticks(first: float, last: float) -> list[float]:
    """Up to six values from ``first`` to ``last`` at a distance of 1, 2 or 5 times a power of ten."""
    distance = (last - first) / _TICKS
    power = 10.0 ** floor(log10(distance)) if distance > 0 else 1.0
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= distance * 0.999)
    begin = ceil(first / step - 1e-9)
    return [round(step * number, 12) for number in range(begin, floor(last / step + 1e-9) + 1)]


def _round(label: str) -> str:
    """``2.50 s`` as ``2.5 s``: ticks are round values."""
    return re.sub(r"(\.\d*?)0+(?!\d)", r"\1", label).replace(". ", " ").removesuffix(".")


def _line(plane: _Plane, index: int, points: Sequence[Point]) -> Markup:
    places = " ".join(f"{plane.x(x):.1f},{plane.y(y):.1f}" for x, y in points)
    if len(points) == 1:  # a line of one point would not be seen
        (x, y) = points[0]
        return Markup('<circle class="series-{}" cx="{:.1f}" cy="{:.1f}" r="3"/>').format(index, plane.x(x), plane.y(y))
    return Markup('<polyline class="series-{}" points="{}"/>').format(index, places)
