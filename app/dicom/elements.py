"""Data elements in Explicit VR Little Endian (PS3.5 section 7.1.2), encoded apart from each other.

    +-------+---------+------+----------+- - - - - - - - - -+
    | group | element |  VR  |  length  |  value            |      most VRs
    |   2   |    2    |  2   |    2     |                   |
    +-------+---------+------+----------+----------+- - - - +
    | group | element |  VR  | 00 00    |  length  |  value |      the VRs of _LONG
    |   2   |    2    |  2   |    2     |    4     |        |
    +-------+---------+------+----------+----------+- - - - +
     \\__ head: kept by keyword and length __/    an even number of bytes

Attributes are a mapping from pydicom keyword to value: text for every textual VR (a list for several values), int for
US and SS, a list of mappings for SQ, None for an empty value. Elements are a mapping from tag to the encoded element,
so that those of several origins can be put together in any order.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydicom.datadict import dictionary_VR, tag_for_keyword

from app.dicom.text import CODECS
from app.domain.records import record

Attributes = Mapping[str, Any]
Elements = dict[int, bytes]

_TEXT = frozenset(("LO", "LT", "PN", "SH", "ST", "UC", "UT"))  # the VRs that Specific Character Set is about
_LONG = frozenset(("OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"))
_NUMBERS = {"SS": "<h", "US": "<H"}
_ITEM = b"\xfe\xff\x00\xe0"


def encode(attributes: Attributes, character_set: str) -> Elements:
    """Encode every attribute; sequences with items of defined length.

    Raises:
        KeyError: a keyword that is not in the data dictionary.
        UnicodeEncodeError: text that the character set does not hold.
    """
    codec = CODECS[character_set]
    elements = {}
    for keyword, value in attributes.items():
        known = _KNOWN[keyword]
        if isinstance(value, str):
            body = value.encode(codec if known.is_text else "ascii")
        elif known.vr == "SQ":
            body = _items(value, character_set)
        else:
            body = _value(value, known.vr, codec if known.is_text else "ascii")
        length = len(body)
        head = known.heads[length]
        elements[known.tag] = head + body + known.padding if length & 1 else head + body
    return elements


def sequence(keyword: str, item: Elements) -> Elements:
    """A sequence with one item, whose elements are encoded already."""
    known, body = _KNOWN[keyword], _item(item)
    return {known.tag: known.heads[len(body)] + body}


def absent(keywords: Iterable[str]) -> Elements:
    """No bytes in the place of each of these elements."""
    return {tag_of(keyword): b"" for keyword in keywords}


def tag_of(keyword: str) -> int:
    """
    Raises:
        KeyError: a keyword that is not in the data dictionary.
    """
    return _KNOWN[keyword].tag


class _Heads(dict[int, bytes]):
    """An element's bytes up to its value, by the value's length before it is padded."""

    def __init__(self, first: bytes, length_size: int) -> None:
        super().__init__()
        self._first, self._length_size = first, length_size

    def __missing__(self, length: int) -> bytes:
        head = self[length] = self._first + (length + (length & 1)).to_bytes(self._length_size, "little")
        return head


@record(frozen=True, slots=True)
class _Known:
    """What all elements of a keyword have in common."""

    tag: int
    vr: str
    is_text: bool
    heads: _Heads
    padding: bytes  # that makes a value's length even


class _KnownByKeyword(dict[str, _Known]):
    def __missing__(self, keyword: str) -> _Known:
        tag = tag_for_keyword(keyword)
        if tag is None:
            raise KeyError(keyword)
        vr = str(dictionary_VR(tag))
        first = struct.pack("<HH2s", tag >> 16, tag & 0xFFFF, vr.encode("ascii"))
        heads = _Heads(first + b"\0\0", 4) if vr in _LONG else _Heads(first, 2)
        known = self[keyword] = _Known(int(tag), vr, vr in _TEXT, heads, b"\0" if vr == "UI" else b" ")
        return known


_KNOWN = _KnownByKeyword()


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
    body = b"".join([elements[tag] for tag in sorted(elements)])
    return _ITEM + struct.pack("<I", len(body)) + body
