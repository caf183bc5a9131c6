"""Delimiters and escape sequences (HL7 v2 chapter 2, sections 2.5.4 and 2.7).

    |  field         \\F\\        ~  repetition    \\R\\        &  subcomponent  \\T\\
    ^  component     \\S\\        \\  escape        \\E\\        control characters  \\Xhh\\

A control character can't travel as itself: CR ends a segment, 0x0B and 0x1C frame a message (MLLP), and the ST type
holds displayable characters only.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

_SEAM = "\x9f"  # between texts that are escaped together; as part of one, it costs time and no more
_CONTROL_CHARACTERS = [chr(code) for code in (*range(0x20), 0x7F)]


class Delimiters:
    """The delimiters that one message declares in MSH-1 and MSH-2."""

    def __init__(
        self, field: str = "|", component: str = "^", repetition: str = "~", escape: str = "\\", subcomponent: str = "&"
    ) -> None:
        self.field = field
        self.component = component
        self.repetition = repetition
        self.escape_character = escape
        self.subcomponent = subcomponent
        self._letters = {"F": field, "S": component, "R": repetition, "E": escape, "T": subcomponent}
        self._sequences = {character: f"{escape}{letter}{escape}" for letter, character in self._letters.items()}
        self._sequences |= {control: f"{escape}X{ord(control):02X}{escape}" for control in _CONTROL_CHARACTERS}
        self._special = re.compile("[" + re.escape("".join(self._sequences)) + "]")
        mark = re.escape(escape)
        self._escaped = re.compile(f"{mark}([^{mark}]*){mark}")

    @classmethod
    def declared_by(cls, header: str) -> Delimiters:
        """The delimiters of a message that begins with ``header``; those that MSH-2 leaves out are the usual ones.

        Raises:
            ValueError: no MSH segment with a field separator, or a letter, digit or space that is to be a delimiter.
        """
        if not header.startswith("MSH") or len(header) < 5 or header[3].isalnum() or header[3].isspace():
            raise ValueError("the message does not begin with an MSH segment")
        if header.startswith("MSH|^~\\&|"):
            return STANDARD
        field = header[3]
        declared = header[4:].split(field, 1)[0]
        characters = [declared[i] if i < len(declared) else usual for i, usual in enumerate("^~\\&")]
        if any(character.isalnum() or character.isspace() for character in characters):
            raise ValueError(f"MSH-2 is {declared[:4]!r}, which can't be told from text")
        return cls(field, *characters)

    @property
    def encoding_characters(self) -> str:
        """MSH-2."""
        return self.component + self.repetition + self.escape_character + self.subcomponent

    def escape(self, text: str) -> str:
        """Text as it may stand in a subcomponent."""
        if self._special.search(text) is None:
            return text
        return self._special.sub(lambda match: self._sequences[match[0]], text)

    def escape_each(self, texts: Sequence[str]) -> list[str]:
        """What :meth:`escape` makes of each: they are escaped as one text, which is faster than one by one."""
        escaped = self.escape(_SEAM.join(texts)).split(_SEAM)
        if len(escaped) != len(texts):  # one of them holds the seam, or it is a delimiter here
            return [self.escape(text) for text in texts]
        return escaped

    def unescape(self, text: str, codec: str = "latin-1") -> str:
        """The text that was escaped; ``codec`` reads the bytes of ``\\Xhh..\\``.

        Sequences that stand for no character (highlighting) vanish, ``\\.br\\`` is a line break; unknown ones (a site's
        ``\\Z..\\``) and a lone escape character stay as they are.
        """
        if self.escape_character not in text:
            return text
        return self._escaped.sub(lambda match: self._meaning(match[1], codec) or "", text)

    def components(self, *values: str) -> str:
        """Escaped values as the components of one field, without trailing empty ones."""
        return self.component.join(map(self.escape, values)).rstrip(self.component)

    def _meaning(self, sequence: str, codec: str) -> str:
        if sequence in self._letters:
            return self._letters[sequence]
        if sequence in ("H", "N"):
            return ""
        if sequence == ".br":
            return "\n"
        if sequence[:1] == "X":
            try:
                return bytes.fromhex(sequence[1:]).decode(codec, "replace")
            except ValueError:
                pass
        return f"{self.escape_character}{sequence}{self.escape_character}"


STANDARD = Delimiters()


def escape(text: str) -> str:
    """Text as it may stand in a field of a message with the usual delimiters."""
    return STANDARD.escape(text)


def unescape(text: str) -> str:
    """The inverse of :func:`escape`."""
    return STANDARD.unescape(text)
