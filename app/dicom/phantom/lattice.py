"""A smooth random field in space, and the folds of the brain that are cut along it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from app.dicom.phantom.noise import raw_words
from app.dicom.phantom.shapes import Axis, Direction, Ellipsoid, Mask, Vector

_POINTS = 32  # of the lattice along each axis; it repeats after so many cells
Field = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Folds:
    """Winding sheets near the surface of an ellipsoid: where a smooth random field is close to zero.

    Gyri and sulci: thin sheets of fluid within thicker ones of grey matter that wind the same way.
    """

    body: Ellipsoid
    depth: float  # share of the radius that the folds reach inwards
    thickness: float  # of a sheet, as a share of the field's range
    cell: float  # mm between lattice points: about the distance of two folds

    @property
    def bounds(self) -> tuple[Vector, Vector]:
        return self.body.bounds

    def inside(self, x: Axis, y: Axis, z: Axis) -> Mask:
        core = Ellipsoid(
            self.body.centre,
            (
                self.body.radii[0] * (1 - self.depth),
                self.body.radii[1] * (1 - self.depth),
                self.body.radii[2] * (1 - self.depth),
            ),
        )
        shell = self.body.inside(x, y, z) & ~core.inside(x, y, z)
        # Slanted, so that the lattice's own directions do not show in any of the three main planes.
        u, v, w = 0.8 * x + 0.6 * y, 0.8 * y - 0.6 * x + 0.5 * z, 0.9 * z - 0.4 * y
        field = smooth_field(u / self.cell, v / self.cell, w / self.cell)
        return np.asarray(shell & (np.abs(field) < self.thickness))

    def mirrored(self) -> Folds:
        return replace(self, body=self.body.mirrored())  # folds are not symmetric anyway

    def turned(self, along: Direction) -> Folds:
        return replace(self, body=self.body.turned(along))


def smooth_field(x: Axis, y: Axis, z: Axis) -> Field:
    """A field between -1 and 1 that is random at whole coordinates and smooth between them; x, y, z broadcast."""
    values = _lattice()
    (x0, fx), (y0, fy), (z0, fz) = _cell(x), _cell(y), _cell(z)
    x1, y1, z1 = (x0 + 1) % _POINTS, (y0 + 1) % _POINTS, (z0 + 1) % _POINTS
    near = _mix(_mix(values[z0, y0, x0], values[z0, y0, x1], fx), _mix(values[z0, y1, x0], values[z0, y1, x1], fx), fy)
    far = _mix(_mix(values[z1, y0, x0], values[z1, y0, x1], fx), _mix(values[z1, y1, x0], values[z1, y1, x1], fx), fy)
    return _mix(near, far, fz)


def _cell(coordinate: Axis) -> tuple[npt.NDArray[np.int64], Field]:
    whole = np.floor(coordinate)
    share = coordinate - whole
    return whole.astype(np.int64) % _POINTS, np.asarray(share * share * (3.0 - 2.0 * share))


def _mix(a: Field, b: Field, share: Field) -> Field:
    return np.asarray(a + (b - a) * share)


@lru_cache(maxsize=1)
def _lattice() -> Field:
    words = raw_words(seed=11, count=_POINTS**3)
    values = (words >> np.uint64(40)).astype(np.float64) / float(1 << 23) - 1.0
    return values.reshape(_POINTS, _POINTS, _POINTS)
