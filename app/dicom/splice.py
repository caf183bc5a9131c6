"""Data sets put together from constant runs and a few elements that change from instance to instance.

    tag order ------------------------------------------------------------------------------------------>
    +---------+-------------+---------+------------+-- ... --+----------+---------+------------+--------+
    |  run 0  | SOP Inst.UID|  run 1  |  Acq. time |         | Position |  run n  | Pixel Data | pixels |
    +---------+-------------+---------+------------+-- ... --+----------+---------+------------+--------+
       once      each time     once      each time             each time    once    once (head)  each time

The elements that stay are joined once for a series. An instance encodes its own, a handful, and the bytes are copied
into place once.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from itertools import groupby

from app.dicom.elements import Elements
from app.dicom.phantom.noise import Pixels

_PIXEL_DATA = b"\xe0\x7f\x10\x00OW\0\0"


class Splice:
    """The data sets of a series."""

    def __init__(self, constant: Elements, changing: Iterable[int]) -> None:
        """``changing`` are the tags of the elements that each instance brings."""
        keys = frozenset(changing)
        self._pieces: list[bytes | int] = []  # a constant run, or the tag of an element to come
        for is_changing, group in groupby(sorted({*constant, *keys}), key=keys.__contains__):
            tags = list(group)
            self._pieces += tags if is_changing else [b"".join(constant[tag] for tag in tags)]

    def fill(self, elements: Elements, pixels: Pixels) -> bytes:
        """The whole data set with the instance's own elements and 16 bit pixels.

        Raises:
            KeyError: a changing element is missing.
        """
        parts = [elements[piece] if isinstance(piece, int) else piece for piece in self._pieces]
        return b"".join((*parts, _PIXEL_DATA, struct.pack("<I", pixels.nbytes), pixels.data))
