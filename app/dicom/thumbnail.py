"""An instance as a small picture: its stored values through its own window, as a PNG (ISO/IEC 15948) of 8 bit grey."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from app.dicom.phantom.noise import Pixels
from app.dicom.study import acquisition_of, instance_pixels
from app.domain.order import StudyPlan

LARGEST = 256  # pixels, of either side

Grey = npt.NDArray[np.uint8]


def thumbnail(plan: StudyPlan, series: int, instance: int) -> bytes:
    """A PNG of an instance (both numbers from 1), at most ``LARGEST`` pixels wide and high."""
    attributes = acquisition_of(plan, plan.series[series - 1]).attributes()
    slope, intercept = float(attributes.get("RescaleSlope", 1)), float(attributes.get("RescaleIntercept", 0))
    values = _reduced(instance_pixels(plan, series, instance)) * slope + intercept
    return write_png(_windowed(values, _first(attributes["WindowCenter"]), _first(attributes["WindowWidth"])))


def write_png(image: Grey) -> bytes:
    """The image as a file; every row without a filter."""
    rows, columns = image.shape
    header = struct.pack(">IIBBBBB", columns, rows, 8, 0, 0, 0, 0)  # 8 bit greyscale, not interlaced
    lines = np.hstack((np.zeros((rows, 1), np.uint8), image)).tobytes()
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(lines)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, content) for kind, content in chunks)


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def _reduced(pixels: Pixels) -> npt.NDArray[np.float64]:
    """Means of square blocks; what is left over at the right and the bottom is cut off."""
    block = -(-max(pixels.shape) // LARGEST)
    rows, columns = (side // block for side in pixels.shape)
    whole = pixels[: rows * block, : columns * block]
    means: npt.NDArray[np.float64] = whole.reshape(rows, block, columns, block).mean(axis=(1, 3))
    return means


def _windowed(values: npt.NDArray[np.float64], centre: float, width: float) -> Grey:
    """The linear VOI LUT function (PS3.3 C.11.2.1.2.1) onto 0 to 255."""
    shown = (values - (centre - 0.5)) / (width - 1) + 0.5
    return (np.clip(shown, 0, 1) * 255).round().astype(np.uint8)


def _first(value: str | Sequence[str]) -> float:
    return float(value if isinstance(value, str) else value[0])
