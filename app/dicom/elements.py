"""Data elements in Explicit VR Little Endian (PS3.5 section 7.1.2), encoded apart from each other.

    +-------+---------+----+------------+- - - - - - - -+      +-------+---------+----+------+------------+- - - - -+
    | group | element | VR |   length   | value (even)  |  or  | group | element | VR | 0000 |   length   | value   |
    |   2   |    2    | 2  |     2      |               |      |   2   |    2    | 2  |  2   |     4      |         |
    +-------+---------+----+------------+- - - - - - - -+      +-------+---------+----+------+------------+- - - - -+
    \\____ first bytes, ___/   most VRs                         \\____ first bytes, __________/   _LONG
         kept by keyword                                             kept by keyword

Attributes are a mapping from pydicom keyword to value: text for every textual VR (a list for several values), int for
US and SS, a list of mappings for SQ, None for an empty value. Elements are a mapping from tag to the encoded element,
so that those of several origins can be put together in any order.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from pydicom.datadict import dictionary_VR, tag_for_keyword

from app.dicom.text import CODECS

Attributes = Mapping[str, Any]
Elements = dict[int, bytes]

_TEXT = frozenset(("LO", "LT", "PN", "SH", "ST", "UC", "UT"))  # the VRs that Specific Character Set is about
_LONG = frozenset(("OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"))
_NUMBERS = {"SS": "<h", "US": "<H"}
_ITEM = b"\xfe\xff\x00\xe0"


class _Known(NamedTuple):
    """What all elements of a keyword have in common."""

    tag: int
    vr: str
    first: bytes  # up to the length
    length_size: int  # bytes
    padding: bytes  # that makes a value's length even
    is_text: bool


def encode(attributes: Attributes, character_set: str) -> Elements:
    """Encode every attribute; sequences with items of defined length.

    Raises:
        KeyError: a keyword that is not in the data dictionary.
        UnicodeEncodeError: text that the character set does not hold.
    """
    codec = CODECS[character_set]
    elements = {}
    for keyword, value in attributes.items():
        tag, vr, first, length_size, padding, is_text = _known(keyword)
        if isinstance(value, str):
            body = value.encode(codec if is_text else "ascii")
        elif vr == "SQ":
            body = _items(value, character_set)
        else:
            body = _value(value, vr, codec if is_text else "ascii")
        if len(body) & 1:
            body += padding
        elements[tag] = first + len(body).to_bytes(length_size, "little") + body
    return elements


def sequence(keyword: str, item: Elements) -> Elements:
    """A sequence with one item, whose elements are encoded already."""
    tag, _, first, length_size, _, _ = _known(keyword)
    body = _item(item)
    return {tag: first + len(body).to_bytes(length_size, "little") + body}


def absent(keywords: Iterable[str]) -> Elements:
    """No bytes in the place of each of these elements."""
    return {tag_of(keyword): b"" for keyword in keywords}


def tag_of(keyword: str) -> int:
    """
    Raises:
        KeyError: a keyword that is not in the data dictionary.
    """
    return _known(keyword).tag


@lru_cache(maxsize=1024)
def _known(keyword: str) -> _Known:
    tag = tag_for_keyword(keyword)
    if tag is None:
        raise KeyError(keyword)
    vr = str(dictionary_VR(tag))
    first = struct.pack("<HH2s", tag >> 16, tag & 0xFFFF, vr.encode("ascii"))
    padding = b"\0" if vr == "UI" else b" "
    if vr in _LONG:
        return _Known(int(tag), vr, first + b"\0\0", 4, padding, vr in _TEXT)
    return _Known(int(tag), vr, first, 2, padding, vr in _TEXT)


def _value(value: int | Sequence[str] | None, vr: str, codec: str) -> bytes:
    if value is None:
        return b""
    if isinstance(value, int):
        return struct.pack(_NUMBERS[vr], value)
    return "\\".join(value).encode(codec)


def _items(items: Sequence[Attributes], character_set: str) -> bytes:
    return b"".join(_item(encode(item, character_set)) for item in items)


def _item(elements: Elements) -> bytes:
    """An item of defined length (PS3.5 section 7.5.1)."""
    body = b"".join([element for _, element in sorted(elements.items())])
    return _ITEM + struct.pack("<I", len(body)) + body
