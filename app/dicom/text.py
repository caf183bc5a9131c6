"""Text as DICOM's value representations allow it (PS3.5 section 6.2), and the character set it needs.

Many elements tell the same date, time or number, so these texts are kept for a while; moments have no time zone.

A backslash divides values in LO and SH, so one within a value becomes a slash; in LT it is an ordinary character.
Control characters become spaces, save for line ends in LT.
"""

from __future__ import annotations

from datetime import date, datetime
from functools import lru_cache
from itertools import chain

ASCII, LATIN_1, UTF_8 = "", "ISO_IR 100", "ISO_IR 192"  # (0008,0005); empty stands for its absence

CODECS = {ASCII: "ascii", LATIN_1: "latin-1", UTF_8: "utf-8"}

_CONTROLS = dict.fromkeys(chain(range(0x20), range(0x7F, 0xA0)), " ")
_ONE_LINE = str.maketrans({**_CONTROLS, ord("\\"): "/"})
_LINES = str.maketrans({code: space for code, space in _CONTROLS.items() if code not in (0x0A, 0x0C, 0x0D)})


def lo(text: str) -> str:
    """Long String: one value of at most 64 characters."""
    return (text if is_plain(text) else text.translate(_ONE_LINE))[:64]


def sh(text: str) -> str:
    """Short String: one value of at most 16 characters."""
    return (text if is_plain(text) else text.translate(_ONE_LINE))[:16]


def lt(text: str) -> str:
    """Long Text: at most 10,240 characters, line ends allowed."""
    return ut(text)[:10_240]


def ut(text: str) -> str:
    """Unlimited Text."""
    return text if text.isprintable() else text.translate(_LINES)


def is_plain(text: str) -> bool:
    """Whether it may stand in one value as it is: most text does, and no control character is printable."""
    return text.isprintable() and "\\" not in text


@lru_cache(maxsize=256)
def da(day: date | None) -> str:
    """Date, empty when unknown."""
    return f"{day.year:04d}{day.month:02d}{day.day:02d}" if day else ""


@lru_cache(maxsize=256)
def tm(moment: datetime) -> str:
    """Time of day, with a fraction only where there is one."""
    text = f"{moment.hour:02d}{moment.minute:02d}{moment.second:02d}"
    return f"{text}.{moment.microsecond:06d}" if moment.microsecond else text


@lru_cache(maxsize=4096)
def ds(number: float) -> str:
    """Decimal String: at most 16 characters, four decimals."""
    text = f"{number:.4f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def years_between(birth: date, day: date) -> str:
    """Age String in the form of (0010,1010): whole years, months below two years, days below two months; else empty."""
    months = (day.year - birth.year) * 12 + day.month - birth.month - (day.day < birth.day)
    if months < 0 or months >= 12_000:
        return ""
    if months >= 24:
        return f"{months // 12:03d}Y"
    return f"{months:03d}M" if months >= 2 else f"{(day - birth).days:03d}D"


def character_set_of(text: str) -> str:
    """The narrowest Specific Character Set that holds the text."""
    if text.isascii():
        return ASCII
    try:
        text.encode("latin-1")
    except UnicodeEncodeError:
        return UTF_8
    return LATIN_1
