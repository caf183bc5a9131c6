"""Character sets of HL7 table 0211 (MSH-18), as far as Yeeter reads and writes them."""

from __future__ import annotations

ASCII, LATIN_1, UTF_8 = "", "8859/1", "UNICODE UTF-8"  # what Yeeter writes; empty means ASCII

_CODECS = {
    "ASCII": "ascii",
    **{f"8859/{part}": f"iso8859-{part}" for part in (2, 3, 4, 5, 6, 7, 8, 9, 15)},
    LATIN_1: "latin-1",
    UTF_8: "utf-8",
    "UTF-8": "utf-8",  # not in the table, but common
    "KS X 1001": "euc_kr",
    "GB 18030-2000": "gb18030",
    "BIG-5": "big5",
}


def codec_of(character_set: str) -> str:
    """Python's codec for a value of MSH-18.

    The default is ASCII, of which Latin-1 is a superset that every byte is part of: a sender that forgot to declare its
    character set is still read.

    Raises:
        LookupError: a character set that Yeeter does not know.
    """
    name = character_set.strip().upper()
    if not name:
        return "latin-1"
    return _CODECS[name]


def narrowest(text: str) -> str:
    """The value of MSH-18 for this text: ASCII where it will do, then 8859/1, then UTF-8."""
    if text.isascii():
        return ASCII
    try:
        text.encode("latin-1")
    except UnicodeEncodeError:
        return UTF_8
    return LATIN_1
