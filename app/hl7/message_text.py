"""A message text with {placeholders}, as a template's author writes it: split into segments and checked.

Lines may end in LF, CRLF or CR; ``{{`` and ``}}`` stand for braces. A placeholder is a plain name of
:mod:`app.hl7.placeholders`; there are no attributes, indexes or formats.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from difflib import get_close_matches

from app.domain.errors import InvalidInput, Problem
from app.hl7.character_set import codec_of
from app.hl7.placeholders import NAMES

FIELD = "hl7.message"

_TOKEN = re.compile(r"(\{\{|\}\}|\{[^{}]*\}|[{}])")
_HEADER = re.compile(r"MSH([^\w\s{}])([^\w\s{}]{4,5})\1")
_SEGMENT = re.compile(r"[A-Z][A-Z0-9]{2}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def read_message_text(text: str) -> list[str]:
    """The segments of a message text, placeholders still in place.

    Raises:
        InvalidInput: every problem found, each naming ``hl7.message``.
    """
    segments = [line for line in re.split(r"\r\n|\r|\n", text) if line.strip()]
    problems = [Problem(FIELD, problem, cure) for problem, cure in _problems(segments)]
    if problems:
        raise InvalidInput(*problems)
    return segments


def tokens(text: str) -> Iterator[tuple[str, bool]]:
    """The constant pieces (as they will stand) and the placeholders' names, each with whether it is a placeholder."""
    for token in _TOKEN.split(text):
        if token in ("{{", "}}"):
            yield token[0], False
        elif token.startswith("{"):
            yield token[1:-1], True
        elif token:
            yield token, False


def _problems(segments: list[str]) -> Iterator[tuple[str, str]]:
    header = _HEADER.match(segments[0]) if segments else None
    if header is None or len(set(header[1] + header[2])) != 1 + len(header[2]):
        yield "it does not begin with an MSH segment and its delimiters", r"begin with MSH|^~\&|"
        return
    separator = header[1]
    yield from _header_problems(segments[0].split(separator))
    placeholders = set()
    for number, segment in enumerate(segments, start=1):
        if not _SEGMENT.fullmatch(segment.split(separator, 1)[0]):
            yield f"segment {number} has no name: {segment[:20]!r}", f"begin it with three letters and {separator}"
        if _CONTROL.search(segment):
            yield f"segment {number} holds a control character", "remove it, or write it as an escape sequence"
        for token in _TOKEN.findall(segment):
            if token in ("{", "}"):
                yield f"segment {number} holds a lone {token}", f"write {token}{token} for a brace"
            elif token not in ("{{", "}}"):
                placeholders.add(token[1:-1])
    for name in sorted(placeholders - NAMES):
        similar = get_close_matches(name, NAMES, n=1) or [", ".join(sorted(NAMES))]
        yield f"unknown placeholder {{{name}}}", f"use {similar[0]}"
    if "accession" not in placeholders:
        yield "{accession} is missing", "put it in OBR-18, where the receiver's ledger looks for it"


def _header_problems(fields: list[str]) -> Iterator[tuple[str, str]]:
    """What is wrong in MSH; ``fields[n]`` is MSH-(n+1)."""
    if len(fields) < 10 or fields[9] != "{control_id}":
        yield "MSH-10 is not {control_id}", "acknowledgements are told apart by it: write {control_id} there"
    if len(fields) > 17:
        try:
            codec_of(fields[17])
        except LookupError:
            yield f"unknown character set {fields[17]!r} in MSH-18", "leave it empty, and it is filled in as needed"
