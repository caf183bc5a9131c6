"""Data elements in Explicit VR Little Endian (PS3.5 section 7.1.2), encoded apart from each other.

Attributes are a mapping from pydicom keyword to value: text for every textual VR (a list for several values), int for
US and SS, a list of mappings for SQ, None for an empty value. Elements are a mapping from tag to the encoded element,
so that those of several origins can be put together in any order.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from pydicom.datadict import dictionary_VR, tag_for_keyword

from app.dicom.text import CODECS, character_set_of

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
        tag, vr, head = _known(keyword)
        body = _sequence(value, character_set) if vr == "SQ" else _value(value, vr, codec)
        length = len(body)
        elements[tag] = head + (struct.pack("<I", length) if vr in _LONG else struct.pack("<H", length)) + body
    return elements


def needed_character_set(attributes: Attributes) -> str:
    """The narrowest Specific Character Set that holds all text of the attributes and of their sequences."""
    return character_set_of("".join(_texts(attributes)))


def _texts(attributes: Attributes) -> Iterable[str]:
    for keyword, value in attributes.items():
        vr = _known(keyword)[1]
        if vr == "SQ":
            for item in value:
                yield from _texts(item)
        elif vr in _TEXT:
            yield value if isinstance(value, str) else "".join(value or ())


@lru_cache(maxsize=1024)
def _known(keyword: str) -> tuple[int, str, bytes]:
    """Tag, VR, and the element's first bytes up to its length."""
    tag = tag_for_keyword(keyword)
    if tag is None:
        raise KeyError(keyword)
    vr = str(dictionary_VR(tag))
    head = struct.pack("<HH2s", tag >> 16, tag & 0xFFFF, vr.encode("ascii"))
    return int(tag), vr, head + b"\0\0" if vr in _LONG else head


def _value(value: str | int | Sequence[str] | None, vr: str, codec: str) -> bytes:
    if value is None:
        return b""
    if isinstance(value, int):
        return struct.pack(_NUMBERS[vr], value)
    text = value if isinstance(value, str) else "\\".join(value)
    body = text.encode(codec if vr in _TEXT else "ascii")
    return body + (b"\0" if vr == "UI" else b" ") if len(body) % 2 else body


def _sequence(items: Sequence[Attributes], character_set: str) -> bytes:
    encoded = []
    for item in items:
        body = b"".join(element for _, element in sorted(encode(item, character_set).items()))
        encoded += [_ITEM, struct.pack("<I", len(body)), body]
    return b"".join(encoded)
