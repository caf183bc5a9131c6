"""Names in DICOM's order: family^given^middle^prefix^suffix (PS3.5 section 6.2.1.1)."""

from __future__ import annotations

from itertools import chain

from app.dicom.text import is_plain
from app.domain.order import PersonName

MAX_LENGTH = 64  # characters of a component group

_CONTROLS = dict.fromkeys(chain(range(0x20), range(0x7F, 0xA0)), " ")
_COMPONENT = str.maketrans({**_CONTROLS, ord("^"): " ", ord("="): " ", ord("\\"): "/"})


def to_pn(name: PersonName) -> str:
    """The name as one alphabetic component group of at most 64 characters, without trailing carets.

    PN's own delimiters can't be escaped: ``^`` and ``=`` within a part become spaces, a backslash becomes a slash.
    """
    parts = (name.family, name.given, name.middle, name.prefix, name.suffix)
    text = "^".join(parts)
    if len(text) <= MAX_LENGTH and _is_normal(text):
        return text.rstrip("^")
    return normal_pn("^".join(part.translate(_COMPONENT).strip() for part in parts)[:MAX_LENGTH])


def _is_normal(text: str) -> bool:
    """Whether five joined parts hold no delimiter of their own and no space at an end of theirs: nearly all names."""
    ends = f"^{text}^"
    return is_plain(text) and text.count("^") == 4 and "=" not in text and "^ " not in ends and " ^" not in ends


def normal_pn(text: str) -> str:
    """A PN for comparison: components without spaces around them, groups without trailing carets, no empty groups."""
    groups = ["^".join(part.strip() for part in group.split("^")).rstrip("^") for group in text.split("=")]
    return "=".join(groups).rstrip("=")
