"""Identifiers of queries and of their answers (PS3.4 annex C.4.1) as data sets, little endian."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from struct import Struct
from typing import Final

from pydicom.datadict import dictionary_VR, tag_for_keyword

from app.domain.study import IMPLICIT_VR_LITTLE_ENDIAN

_IMPLICIT, _EXPLICIT = Struct("<HHI"), Struct("<HH2sH")
_LONGEST: Final = 0xFFFE  # bytes of a value with a short length


def encode_identifier(values: Mapping[str, str], transfer_syntax_uid: str) -> bytes:
    """As a data set, each value in a VR with a short length; longer ones are cut off."""
    elements = sorted((*_tag_and_vr(keyword), value.encode("utf-8", "replace")) for keyword, value in values.items())
    return b"".join([_element(*element, transfer_syntax_uid) for element in elements])


def _element(tag: int, vr: bytes, value: bytes, transfer_syntax_uid: str) -> bytes:
    """In implicit or explicit VR (PS3.5 section 7.1)."""
    value = value[:_LONGEST]
    if len(value) % 2:
        value += b"\0" if vr == b"UI" else b" "
    if transfer_syntax_uid == IMPLICIT_VR_LITTLE_ENDIAN:
        return _IMPLICIT.pack(tag >> 16, tag & 0xFFFF, len(value)) + value
    return _EXPLICIT.pack(tag >> 16, tag & 0xFFFF, vr, len(value)) + value


@cache
def _tag_and_vr(keyword: str) -> tuple[int, bytes]:
    tag = tag_for_keyword(keyword)
    assert tag is not None  # the keywords are the callers' own
    return int(tag), dictionary_VR(tag).encode("ascii")
