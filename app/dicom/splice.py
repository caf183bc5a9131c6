"""Data sets put together from constant runs and the elements that come for each order, series or instance.

    tag order ------------------------------------------------------------------------------------------>
    +---------+-------------+---------+------------+-- ... --+----------+---------+------------+--------+
    |  run 0  | SOP Inst.UID|  run 1  |  Acq. time |         | Position |  run n  | Pixel Data | pixels |
    +---------+-------------+---------+------------+-- ... --+----------+---------+------------+--------+
       once        hole        once       hole                   hole      once      length     behind

The elements that stay are joined once, for all series that are acquired alike; what comes is put into the holes between
them. A hole may stay empty: an element that is not there has no bytes.
"""

from __future__ import annotations

from collections.abc import Collection
from operator import itemgetter

from app.dicom.elements import Elements

_PIXEL_DATA = b"\xe0\x7f\x10\x00OW\0\0"  # (7FE0,0010) up to its length


class Splice:
    """What comes before the pixels in the data sets of series that are acquired alike."""

    def __init__(self, constant: Elements, holes: Collection[int]) -> None:
        """``holes`` are the tags of the elements to come, two or more."""
        tags = sorted(set(holes))
        form = {tag: element.replace(b"%", b"%%") for tag, element in constant.items()} | dict.fromkeys(tags, b"%b")
        self._form = b"".join((*(form[tag] for tag in sorted(form)), _PIXEL_DATA, b"%b"))
        self._in_order = itemgetter(*tags)

    def fill(self, elements: Elements, pixel_bytes: int) -> bytes:
        """The data set up to its pixels, of which there are so many bytes.

        Raises:
            KeyError: an element is missing.
        """
        return self._form % (*self._in_order(elements), pixel_bytes.to_bytes(4, "little"))
