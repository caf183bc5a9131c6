"""What a modality makes of a series: the part of each IOD that no order changes."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from app.dicom.elements import Attributes
from app.dicom.phantom.noise import Pixels


class SeriesShape(NamedTuple):
    """All that an acquisition depends on."""

    body_part: str
    laterality: str
    description: str
    instances: int
    tiny: bool


class Acquisition(Protocol):
    """One series of a modality. Nothing in it names a patient, an order or a time."""

    @property
    def sop_class_uid(self) -> str: ...

    @property
    def seconds_an_image(self) -> float: ...

    def attributes(self) -> Attributes:
        """What is the same in every instance of the series; ASCII only."""
        ...

    def instance_attributes(self, index: int) -> Attributes:
        """What instance ``index`` (from 0) has of its own: the same keywords for every index."""
        ...

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns of every image."""
        ...

    def pixels(self, index: int, key: bytes, out: Pixels | None = None) -> Pixels:
        """Stored values as (rows, columns), in ``out`` if given; ``key`` decides the noise."""
        ...


def image_pixel(rows: int, columns: int, bits_stored: int) -> Attributes:
    """The Image Pixel module (PS3.3 C.7.6.3) of unsigned 16 bit greyscale images, without the pixels."""
    return {
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "Rows": rows,
        "Columns": columns,
        "BitsAllocated": 16,
        "BitsStored": bits_stored,
        "HighBit": bits_stored - 1,
        "PixelRepresentation": 0,
    }
