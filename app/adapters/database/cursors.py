"""Opaque cursors: a few integers or texts, told apart by nobody but us."""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any

from app.domain.errors import InvalidInput, Problem

_LONGEST = 500  # characters; ours stay below
_BIGINT = 2**63
_dump = json.JSONEncoder(separators=(",", ":")).encode


def encode_cursor(*values: Any) -> str:
    return base64.urlsafe_b64encode(_dump(values).encode()).decode().rstrip("=")


def encode_place(xid: int, id_: int) -> str:
    """``encode_cursor`` of two integers, in a fifth of its time: each event of a feed has one.

    Their digits never come to one of the two characters in which the alphabet of URLs differs.
    """
    return binascii.b2a_base64(b"[%d,%d]" % (xid, id_), newline=False).rstrip(b"=").decode()


def decode_cursor(text: str, kinds: tuple[type, ...]) -> list[Any]:
    """The values of a cursor.

    Raises:
        InvalidInput: it is not one of ours.
    """
    try:
        values = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))) if len(text) < _LONGEST else None
    except ValueError:
        values = None
    if not isinstance(values, list) or len(values) != len(kinds):
        raise bad_cursor()
    if not all(map(_fits, values, kinds)):
        raise bad_cursor()
    return values


def bad_cursor() -> InvalidInput:
    return InvalidInput(Problem("after", "not a cursor of this listing", "use next_cursor of the page before"))


def _fits(value: Any, kind: type) -> bool:
    return type(value) is kind and (not isinstance(value, int) or -_BIGINT <= value < _BIGINT)
