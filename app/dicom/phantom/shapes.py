"""The shapes that anatomy is painted with, and the painter.

Coordinates are millimetres in DICOM's patient system (PS3.3 C.7.6.2.1.1): x grows to the patient's left, y to the
back, z to the head. A scene is a list of strokes; a later stroke covers an earlier one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import numpy.typing as npt

Vector = tuple[float, float, float]
Direction = tuple[float, float]  # in the plane of x and y
Axis = npt.NDArray[np.float64]  # sampling points along one axis, ascending
Labels = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]


class Shape(Protocol):
    @property
    def bounds(self) -> tuple[Vector, Vector]:
        """Lowest and highest corner of a box around the shape."""
        ...

    def inside(self, x: Axis, y: Axis, z: Axis) -> Mask:
        """Which points are inside; x, y, z broadcast against each other."""
        ...

    def mirrored(self) -> Shape:
        """The mirror image in the midsagittal plane (x to -x)."""
        ...

    def turned(self, along: Direction) -> Shape:
        """The shape turned about the z axis so that x points along ``along`` (any length)."""
        ...


@dataclass(frozen=True, slots=True)
class Ellipsoid:
    """An ellipsoid, turned about z so that its first axis points along ``along`` (any length), and squared off.

    ``squareness`` 0 is a true ellipsoid; up to 1 the cross-section in x and y bulges towards a rectangle.
    """

    centre: Vector
    radii: Vector
    along: Direction = (1.0, 0.0)
    squareness: float = 0.0

    @property
    def bounds(self) -> tuple[Vector, Vector]:
        cos, sin = _unit(self.along)
        a, b, c = self.radii
        if self.squareness:
            return _box(self.centre, (abs(a * cos) + abs(b * sin), abs(a * sin) + abs(b * cos), c))
        return _box(self.centre, (_length(a * cos, b * sin), _length(a * sin, b * cos), c))

    def inside(self, x: Axis, y: Axis, z: Axis) -> Mask:
        a, b, c = self.radii
        dx, dy, dz = x - self.centre[0], y - self.centre[1], (z - self.centre[2]) / c
        if self.along[1]:
            cos, sin = _unit(self.along)
            dx, dy = dx * cos + dy * sin, dy * cos - dx * sin
        u, v, w = (dx / a) ** 2, (dy / b) ** 2, dz * dz
        if self.squareness:
            return np.asarray(u + v - self.squareness * 0.75 * (u * v) + w <= 1.0) & (u <= 1.0) & (v <= 1.0)
        return np.asarray(u + (v + w) <= 1.0)

    def mirrored(self) -> Ellipsoid:
        return replace(self, centre=_flip(self.centre), along=(self.along[0], -self.along[1]))

    def turned(self, along: Direction) -> Ellipsoid:
        return replace(self, centre=_turn(self.centre, along), along=_turn((*_unit(self.along), 0.0), along)[:2])


@dataclass(frozen=True, slots=True)
class Tube:
    """A round tube through some points, with a radius at each of them: a bone, a vessel, an airway."""

    points: tuple[Vector, ...]
    radii: tuple[float, ...]

    @property
    def bounds(self) -> tuple[Vector, Vector]:
        around = [_box(point, (radius, radius, radius)) for point, radius in zip(self.points, self.radii, strict=True)]
        low = tuple(map(min, *(bottom for bottom, _ in around)))
        high = tuple(map(max, *(top for _, top in around)))
        return (low[0], low[1], low[2]), (high[0], high[1], high[2])

    def inside(self, x: Axis, y: Axis, z: Axis) -> Mask:
        found: Mask = np.zeros(np.broadcast_shapes(x.shape, y.shape, z.shape), dtype=np.bool_)
        for start, end, r0, r1 in zip(self.points, self.points[1:], self.radii, self.radii[1:], strict=False):
            found |= _in_cone(start, end, r0, r1, x, y, z)
        return found

    def mirrored(self) -> Tube:
        return Tube(tuple(_flip(point) for point in self.points), self.radii)

    def turned(self, along: Direction) -> Tube:
        return Tube(tuple(_turn(point, along) for point in self.points), self.radii)


@dataclass(frozen=True, slots=True)
class Clipped:
    """The part of a shape within a box."""

    shape: Shape
    low: Vector
    high: Vector

    @property
    def bounds(self) -> tuple[Vector, Vector]:
        low, high = self.shape.bounds
        bottom = tuple(map(max, low, self.low))
        top = tuple(map(min, high, self.high))
        return (bottom[0], bottom[1], bottom[2]), (top[0], top[1], top[2])

    def inside(self, x: Axis, y: Axis, z: Axis) -> Mask:
        return self.shape.inside(x, y, z)  # the painter looks within the bounds only

    def mirrored(self) -> Clipped:
        (x0, y0, z0), (x1, y1, z1) = self.low, self.high
        return Clipped(self.shape.mirrored(), (-x1, y0, z0), (-x0, y1, z1))

    def turned(self, along: Direction) -> Clipped:
        """Of the box only its bottom and top remain: its other sides would no longer lie along the axes."""
        return Clipped(self.shape.turned(along), (-1e4, -1e4, self.low[2]), (1e4, 1e4, self.high[2]))


Stroke = tuple[int, Shape]  # a tissue and where it is
Scene = Sequence[Stroke]


class Anatomy:
    """A scene made ready for painting: tubes in single segments, the bounds of all strokes side by side."""

    def __init__(self, scene: Scene) -> None:
        self._strokes = [(tissue, part) for tissue, shape in scene for part in _segments(shape)]
        bounds = np.array([shape.bounds for _, shape in self._strokes])
        self._low, self._high = bounds[:, 0], bounds[:, 1]

    def paint(self, x: Axis, y: Axis, z: Axis) -> Labels:
        """Tissue labels at every (z, y, x) of the sampling points; 0 where nothing was painted."""
        labels = np.zeros((z.size, y.size, x.size), dtype=np.uint8)
        first, last = np.array((x[0], y[0], z[0])), np.array((x[-1], y[-1], z[-1]))
        near = np.flatnonzero(np.all((self._low <= last) & (self._high >= first), axis=1))
        along_z, along_y, along_x = (
            _reaches(axis, self._low[near, i], self._high[near, i]) for axis, i in ((z, 2), (y, 1), (x, 0))
        )
        for index, *window in zip(near, along_z, along_y, along_x, strict=True):
            tissue, shape = self._strokes[index]
            part = labels[tuple(window)]
            if part.size:
                zs, ys, xs = z[window[0]], y[window[1]], x[window[2]]
                part[shape.inside(xs[None, None, :], ys[None, :, None], zs[:, None, None])] = tissue
        return labels

    def turned(self, along: Direction) -> Anatomy:
        """The anatomy turned about the z axis so that x points along ``along``."""
        return Anatomy([(tissue, shape.turned(along)) for tissue, shape in self._strokes])

    def mirrored(self) -> Anatomy:
        """The anatomy of the other side."""
        return Anatomy([(tissue, shape.mirrored()) for tissue, shape in self._strokes])


def both(*strokes: Stroke) -> Scene:
    """The strokes, and their mirror images on the other side of the body (x to -x)."""
    return (*strokes, *((tissue, shape.mirrored()) for tissue, shape in strokes))


def cylinder(centre: Vector, radii: tuple[float, float], height: float) -> Clipped:
    """An upright cylinder of elliptic cross-section: a vertebral body, a disc."""
    x, y, z = centre
    a, b = radii
    return Clipped(
        Ellipsoid(centre, (a, b, 4 * height)), (x - a, y - b, z - height / 2), (x + a, y + b, z + height / 2)
    )


def smooth(points: Sequence[Vector], steps: int = 3) -> tuple[Vector, ...]:
    """A curve through the points (Catmull-Rom), with ``steps`` pieces between each two."""
    ends = (points[0], *points, points[-1])
    curve = []
    for p, q, r, s in zip(ends, ends[1:], ends[2:], ends[3:], strict=False):
        curve += [_on_curve(p, q, r, s, step / steps) for step in range(steps)]
    return (*curve, points[-1])


def _on_curve(p: Vector, q: Vector, r: Vector, s: Vector, t: float) -> Vector:
    x, y, z = (
        b + 0.5 * t * (c - a + t * (2 * a - 5 * b + 4 * c - d + t * (3 * (b - c) + d - a)))
        for a, b, c, d in zip(p, q, r, s, strict=True)
    )
    return x, y, z


def _segments(shape: Shape) -> Sequence[Shape]:
    if isinstance(shape, Tube):
        ends = zip(shape.points, shape.points[1:], shape.radii, shape.radii[1:], strict=False)
        return [Tube((p, q), (r0, r1)) for p, q, r0, r1 in ends]
    return (shape,)


def _reaches(axis: Axis, lows: Axis, highs: Axis) -> list[slice]:
    """The points from each low to its high, both included."""
    firsts, ends = np.searchsorted(axis, lows), np.searchsorted(axis, highs, side="right")
    return list(map(slice, firsts.tolist(), ends.tolist()))


def _in_cone(p: Vector, q: Vector, r0: float, r1: float, x: Axis, y: Axis, z: Axis) -> Mask:
    """Points nearer to the segment p-q than a radius that goes evenly from r0 to r1."""
    ux, uy, uz = (b - a for a, b in zip(p, q, strict=True))
    length2 = (ux * ux + uy * uy + uz * uz) or 1.0
    dx, dy, dz = x - p[0], y - p[1], z - p[2]
    t = np.clip((dx * ux + dy * uy + dz * uz) / length2, 0.0, 1.0)
    radius = r0 + t * (r1 - r0)
    return np.asarray((dx - t * ux) ** 2 + (dy - t * uy) ** 2 + (dz - t * uz) ** 2 <= radius * radius)


def _unit(direction: Direction) -> Direction:
    length = _length(*direction)
    return direction[0] / length, direction[1] / length


def _length(x: float, y: float) -> float:
    return math.sqrt(x * x + y * y)  # not hypot, whose last bit is the C library's choice


def _turn(point: Vector, along: Direction) -> Vector:
    cos, sin = _unit(along)
    return point[0] * cos - point[1] * sin, point[0] * sin + point[1] * cos, point[2]


def _flip(point: Vector) -> Vector:
    return -point[0], point[1], point[2]


def _box(centre: Vector, reach: Vector) -> tuple[Vector, Vector]:
    (x, y, z), (a, b, c) = centre, reach
    return (x - a, y - b, z - c), (x + a, y + b, z + c)
