"""Radiographs: an anatomy's attenuation summed along the beam.

Stored values are proportional to the attenuation, that is to the logarithm of the intensity (LOG, sign -1): bone is
bright in MONOCHROME2. Full size is painted at a fifth of the resolution and enlarged.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from app.dicom.phantom.noise import Pixels, add_noise, reach
from app.dicom.phantom.painted import kept
from app.dicom.phantom.regions import anatomy, region
from app.dicom.phantom.tissue import attenuation
from app.dicom.phantom.view import BACK, CORONAL, FRONT, HEAD, LEFT, RIGHT, SAGITTAL, View, samples, softened

COLUMNS, ROWS = 1760, 2140  # at full size, portrait
_ENLARGE = 5
_DEPTHS, _TINY_DEPTHS = 160, 40  # planes along the beam
_AT_ONCE = 1_000_000  # points painted at once
_BRIGHTEST = 3600  # stored value of the densest point, of 4095
_NOISE = 9

_HAND_UP, _HAND_SIDE = View(RIGHT, HEAD), View(FRONT, HEAD)
_FOOT_TOP = View(RIGHT, BACK)
_DECUBITUS = View(HEAD, LEFT)


@dataclass(frozen=True, slots=True)
class Projection:
    """One radiograph's geometry. ``position`` is a defined term of (0018,5101) View Position."""

    body_part: str
    right: bool
    position: str  # AP, PA, LL, LLD or LLO
    tiny: bool

    @property
    def view(self) -> View:
        lateral = self.position == "LL"
        if self.body_part == "HAND":
            return _HAND_SIDE if lateral else _HAND_UP
        if self.body_part == "FOOT" and not lateral:
            return _FOOT_TOP
        if self.position == "LLD":
            return _DECUBITUS
        return SAGITTAL if lateral else CORONAL

    @property
    def rows(self) -> int:
        return 64 if self.tiny else ROWS

    @property
    def columns(self) -> int:
        return 64 if self.tiny else COLUMNS

    @property
    def pixel_spacing(self) -> float:
        """Millimetres in the detector's plane; a tiny image shows the whole height in 64 rows."""
        full = region(self.body_part).detector / COLUMNS
        return full * ROWS / 64 if self.tiny else full

    @property
    def window(self) -> tuple[int, int]:
        """Centre and width that show the body well."""
        return _window(self)

    def pixels(self, key: bytes, out: Pixels | None = None) -> Pixels:
        """Stored values, in ``out`` if given; ``key`` decides the noise."""
        clean = _painted(self) if self.tiny else _enlarged(self)
        return add_noise(clean, _NOISE, key, out)


@kept(64)
def _painted(projection: Projection) -> Pixels:
    """Without noise, at the resolution that it is painted at; up to 300 kB."""
    shown, view = region(projection.body_part), projection.view
    scale = 1 if projection.tiny else _ENLARGE
    spacing = projection.pixel_spacing * scale
    columns, rows = projection.columns // scale, projection.rows // scale
    aim = (-shown.aim[0] if projection.right else shown.aim[0], shown.aim[1], shown.aim[2])
    across = samples(aim[view.across.axis], columns, spacing)
    down = samples(aim[view.down.axis], rows, spacing)
    body = anatomy(projection.body_part, projection.right, oblique=projection.position == "LLO")
    table = attenuation()
    total: npt.NDArray[np.int32] = np.zeros((rows, columns), dtype=np.int32)
    planes = _TINY_DEPTHS if projection.tiny else _DEPTHS
    depths = samples(aim[view.normal], planes, shown.depth[view.normal] / planes)
    for some in np.array_split(depths, -(-planes * rows * columns // _AT_ONCE)):
        total += table[view.paint(body, across, down, some)].sum(axis=0, dtype=np.int32)
    total = softened(total)
    margin = reach(_NOISE)
    scaled: Pixels = (total * (_BRIGHTEST - margin) // max(int(total.max()), 1) + margin).astype(np.uint16)
    scaled.setflags(write=False)
    return scaled


@kept(6)
def _enlarged(projection: Projection) -> Pixels:
    """Linear interpolation between the painted pixels; 7.5 MB each."""
    image = _painted(projection)  # a weighted sum of two values stays below 2 to the 16th
    for _ in range(2):
        after = np.concatenate((image[1:], image[-1:]))
        large: Pixels = np.empty((image.shape[0] * _ENLARGE, image.shape[1]), dtype=np.uint16)
        for step in range(_ENLARGE):
            large[step::_ENLARGE] = (image * np.uint16(_ENLARGE - step) + after * np.uint16(step)) // np.uint16(
                _ENLARGE
            )
        image = large.T
    enlarged: Pixels = np.ascontiguousarray(image)
    enlarged.setflags(write=False)
    return enlarged


@kept(256)
def _window(projection: Projection) -> tuple[int, int]:
    values = np.sort(_painted(projection), axis=None)
    body = values[np.searchsorted(values, 2 * reach(_NOISE)) :]
    low, high = int(body[body.size // 20]) * 7 // 10, int(body[body.size - 1 - body.size // 150])
    return (low + high) // 2, high - low
