"""Writing entries into a tokens file, which people edit, too: what is there stays as it is."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from app.api.roles import Role
from app.api.tokens import TokenEntry, parse_entries, read_entries
from app.domain.errors import InvalidInput, Problem
from app.domain.template import problems_of


def make_entry(name: str, role: Role, hash_: str) -> TokenEntry:
    """Raises InvalidInput: the name is none."""
    try:
        return TokenEntry(name=name, role=role, hash=hash_)
    except ValidationError as error:
        cure = "letters, digits, dots, dashes and underscores, at most 63"
        raise InvalidInput(*(Problem("--name", problem.problem, cure) for problem in problems_of(error))) from error


def entry_text(entry: TokenEntry) -> str:
    return f"- name: {entry.name!r}\n  role: {entry.role}\n  hash: {entry.hash}\n"


def add_entry(path: Path, entry: TokenEntry) -> None:
    """Append an entry; a file that is not there is made, for its owner's eyes only.

    Raises:
        InvalidInput: the name is taken, or the file is not one that an entry can be appended to.
    """
    there = read_entries(path) if path.exists() else []
    if any(each.name == entry.name for each in there):
        raise InvalidInput(
            Problem("--name", f"{path} has a token {entry.name!r}", "choose another, or take that one out")
        )
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    added = ("" if not text or text.endswith("\n") else "\n") + entry_text(entry)
    try:
        fits = parse_entries(text + added, path) == [*there, entry]
    except InvalidInput:
        fits = False
    if not fits:
        raise InvalidInput(Problem("--file", f"{path} is not written one entry after the other", "add it by hand"))
    path.touch(mode=0o600)
    with path.open("a", encoding="utf-8") as file:
        file.write(added)
