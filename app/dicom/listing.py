"""A data set's elements for people to read, one a line."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO

from pydicom import DataElement, Dataset
from pydicom.filereader import read_dataset
from pydicom.multival import MultiValue

_PIXEL_DATA = 0x7FE00010


@dataclass(frozen=True, slots=True)
class Line:
    """One data element."""

    tag: str  # (gggg,eeee)
    name: str
    vr: str
    value: str  # several are joined by a backslash; a sequence says how many items it has
    depth: int  # 0 in the data set itself, 1 in an item of its sequences, and so on


def list_elements(data: bytes) -> list[Line]:
    """The elements of a data set in Explicit VR Little Endian by tag, items behind their sequence; without pixels."""
    return list(_lines(read_dataset(BytesIO(data), False, True, stop_when=lambda tag, *_: tag == _PIXEL_DATA), 0))


def _lines(ds: Dataset, depth: int) -> Iterator[Line]:
    for element in ds:
        tag = f"({element.tag.group:04X},{element.tag.element:04X})"
        yield Line(tag, element.name, element.VR, _text(element), depth)
        if element.VR == "SQ":
            for item in element.value:
                yield from _lines(item, depth + 1)


def _text(element: DataElement) -> str:
    if element.VR == "SQ":
        return f"{len(element.value)} {'item' if len(element.value) == 1 else 'items'}"
    values = element.value if isinstance(element.value, MultiValue) else [element.value]
    return "\\".join("" if value is None else str(value) for value in values)
