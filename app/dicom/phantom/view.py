"""How an image lies in the patient: which way its rows and columns run."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from app.dicom.phantom.shapes import Anatomy, Axis, Labels, Vector

_LETTERS = (("L", "R"), ("P", "A"), ("H", "F"))  # PS3.3 C.7.6.1.1.1, towards +x or -x, +y or -y, +z or -z


@dataclass(frozen=True, slots=True)
class Direction:
    """Along an axis of the patient (0 x, 1 y, 2 z), to higher coordinates (1) or to lower ones (-1)."""

    axis: int
    sign: int

    @property
    def cosines(self) -> Vector:
        values = [0.0, 0.0, 0.0]
        values[self.axis] = float(self.sign)
        return values[0], values[1], values[2]

    @property
    def letter(self) -> str:
        return _LETTERS[self.axis][0 if self.sign > 0 else 1]


LEFT, RIGHT = Direction(0, 1), Direction(0, -1)
BACK, FRONT = Direction(1, 1), Direction(1, -1)
HEAD, FEET = Direction(2, 1), Direction(2, -1)


@dataclass(frozen=True, slots=True)
class View:
    """An image plane: where one goes from left to right, and where from top to bottom."""

    across: Direction
    down: Direction

    @property
    def normal(self) -> int:
        """The axis that the image's plane is perpendicular to."""
        return 3 - self.across.axis - self.down.axis

    def paint(self, anatomy: Anatomy, across: Axis, down: Axis, depths: Axis) -> Labels:
        """The labels in the planes at these depths, as (planes, rows, columns); all three axes ascending."""
        axes = [depths] * 3
        axes[self.across.axis], axes[self.down.axis] = across, down
        labels = anatomy.paint(axes[0], axes[1], axes[2])  # (z, y, x)
        labels = labels.transpose(2 - self.normal, 2 - self.down.axis, 2 - self.across.axis)
        return labels[:, :: self.down.sign, :: self.across.sign]


AXIAL = View(LEFT, BACK)
SAGITTAL = View(BACK, FEET)
CORONAL = View(LEFT, FEET)


def samples(centre: float, pixels: int, spacing: float) -> Axis:
    """Centres of pixels, ascending."""
    return np.asarray(centre + (np.arange(pixels) - (pixels - 1) / 2) * spacing)


def softened(image: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
    """A 3 by 3 binomial filter: partial volume at edges."""
    padded = np.pad(image, 1, mode="edge")
    rows = padded[:-2] + 2 * padded[1:-1] + padded[2:]
    return np.asarray((rows[:, :-2] + 2 * rows[:, 1:-1] + rows[:, 2:]) >> 4)
