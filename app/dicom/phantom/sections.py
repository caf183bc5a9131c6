"""CT and MR sections: a stack of parallel images through a region, and the pixels of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from app.dicom.phantom.noise import Pixels, add_noise, reach
from app.dicom.phantom.painted import kept
from app.dicom.phantom.regions import Region, anatomy, region
from app.dicom.phantom.shapes import Vector
from app.dicom.phantom.tissue import Weighting, hounsfield, mr_signal
from app.dicom.phantom.view import AXIAL, View, samples, softened

CT_INTERCEPT = -1024  # HU of stored value 0
_LEVELS = 32  # different sections of a stack; slices in between show the nearest one, with noise of their own
_WIDEST = 12.0  # mm between two slices of a short stack

Contrast = Literal["CT"] | Weighting


@dataclass(frozen=True, slots=True)
class Stack:
    """``count`` sections of ``size`` by ``size`` pixels through a body part; lengths in millimetres."""

    body_part: str
    right: bool
    view: View
    size: int
    count: int

    @property
    def pixel_spacing(self) -> float:
        return self._region.field / self.size

    @property
    def slice_spacing(self) -> float:
        return min(_WIDEST, round(self._extent / self.count, 3))

    def position(self, index: int) -> Vector:
        """Image Position (Patient): the centre of the first pixel of slice ``index`` (from 0)."""
        position = list(self._centre)
        for direction in (self.view.across, self.view.down):
            position[direction.axis] -= direction.sign * (self.size - 1) / 2 * self.pixel_spacing
        position[self.view.normal] = self.location(index)
        return position[0], position[1], position[2]

    def location(self, index: int) -> float:
        """Where slice ``index`` is on the axis that the stack runs along: axial ones from head to feet."""
        run = (index - (self.count - 1) / 2) * self.slice_spacing
        return round(self._centre[self.view.normal] + (-run if self.view == AXIAL else run), 4)

    def pixels(self, index: int, contrast: Contrast, key: bytes, out: Pixels | None = None) -> Pixels:
        """Stored values of slice ``index``, in ``out`` if given; ``key`` decides the noise."""
        clean = _section(self.body_part, self.right, self.view, self.size, self._level(index), contrast)
        return add_noise(clean, _noise(self.body_part, contrast), key, out)

    def _level(self, index: int) -> int:
        offset = self.location(index) - self._centre[self.view.normal]
        level = int((offset / self._extent + 0.5) * _LEVELS)
        return min(max(level, 0), _LEVELS - 1)

    @property
    def _region(self) -> Region:
        return region(self.body_part)

    @property
    def _centre(self) -> Vector:
        x, y, z = self._region.centre
        return (-x if self.right else x), y, z

    @property
    def _extent(self) -> float:
        return self._region.extent[self.view.normal]


def _section(body_part: str, right: bool, view: View, size: int, level: int, contrast: Contrast) -> Pixels:
    painted = _ct_section if contrast == "CT" else _mr_section
    return painted(body_part, right, view, size, level, contrast)


def _paint(body_part: str, right: bool, view: View, size: int, level: int, contrast: Contrast) -> Pixels:
    """A section without noise, as stored values that keep the noise's margin."""
    shown = region(body_part)
    x, y, z = (-shown.centre[0] if right else shown.centre[0]), shown.centre[1], shown.centre[2]
    centre = (x, y, z)
    depth = centre[view.normal] + ((level + 0.5) / _LEVELS - 0.5) * shown.extent[view.normal]
    across, down = (samples(centre[d.axis], size, shown.field / size) for d in (view.across, view.down))
    (labels,) = view.paint(anatomy(body_part, right, oblique=False), across, down, np.array([depth]))
    values = hounsfield() - CT_INTERCEPT if contrast == "CT" else mr_signal(contrast)
    margin = reach(_noise(body_part, contrast))
    clean: Pixels = np.maximum(softened(values[labels]), margin).astype(np.uint16)
    clean.setflags(write=False)
    return clean


# Bounds on memory, for 512 by 512 and 256 by 256 pixels: 64 MB and 48 MB.
_ct_section = kept(4 * _LEVELS)(_paint)
_mr_section = kept(12 * _LEVELS)(_paint)


def _noise(body_part: str, contrast: Contrast) -> int:
    if contrast != "CT":
        return 12
    return 4 if region(body_part) is region("HEAD") else 10
