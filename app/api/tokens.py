"""Tokens: who may ask the API, and how much of it.

A token is 32 random bytes. That is why its plain SHA-256 is the right thing to store: nobody can guess what has 256
bits of entropy, so there is no dictionary for a slow password hash to hold up, and every request would pay for it.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Sequence
from pathlib import Path

import structlog
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from app.api.roles import Caller, Role
from app.domain.errors import InvalidInput, Problem
from app.domain.template import problems_of

log = structlog.get_logger()

SETTING = "YEETER_TOKENS_FILE"
_PREFIX = "yeeter_"  # so that people and secret scanners know one when they see it


class TokenEntry(BaseModel):
    """An entry of the tokens file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$")
    role: Role
    hash: str = Field(pattern=r"^sha256:[0-9a-f]{64}$")


def new_token() -> str:
    return _PREFIX + secrets.token_urlsafe(32)


def hash_of(token: str) -> str:
    return f"sha256:{hashlib.sha256(token.encode('utf-8', 'replace')).hexdigest()}"


def read_entries(path: Path) -> list[TokenEntry]:
    """The entries of a tokens file.

    Raises:
        InvalidInput: it can't be read, or an entry can't be used.
    """
    try:
        return parse_entries(path.read_text(encoding="utf-8"), path)
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        raise InvalidInput(Problem(SETTING, f"{path}: {reason}", "make one: `yeeter tokens create`")) from error


def parse_entries(text: str, path: Path) -> list[TokenEntry]:
    """As :func:`read_entries`, of the file's text."""
    try:
        document = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise InvalidInput(Problem(SETTING, f"{path} is not valid YAML: {' '.join(str(error).split())}")) from error
    if document is None:
        return []
    if not isinstance(document, list):
        raise InvalidInput(Problem(SETTING, f"{path} holds no list", "write entries of name, role and hash"))
    entries = [_entry(item, f"{path}: entry {number}") for number, item in enumerate(document, start=1)]
    names = [entry.name for entry in entries]
    for name in names:
        if names.count(name) > 1:
            raise InvalidInput(Problem(SETTING, f"{path}: the name {name!r} is given twice", "rename one"))
    return entries


def _entry(item: object, where: str) -> TokenEntry:
    try:
        return TokenEntry.model_validate(item)
    except ValidationError as error:
        found = (f"{problem.field}: {problem.problem}".removeprefix(": ") for problem in problems_of(error))
        cure = "entries have a name, a role and a hash: `yeeter tokens create` shows one"
        raise InvalidInput(Problem(SETTING, f"{where}: {'; '.join(found)}", cure)) from error


class Tokens:
    """The tokens of a file. It is read again when it has changed, so an entry that is taken out is refused at once.

    A changed file that can't be used leaves things as they were, and the log says so.
    """

    def __init__(self, path: Path) -> None:
        """Raises InvalidInput: the file can't be used, or holds no token."""
        self._path = path
        self._version = self._stat()
        self._entries: Sequence[TokenEntry] = read_entries(path)
        if not self._entries:
            raise InvalidInput(Problem(SETTING, f"{path} holds no token", "make one: `yeeter tokens create`"))

    def caller(self, token: str) -> Caller | None:
        """Whose token it is. Takes the same time whichever it is, and whether it is one at all."""
        self._refresh()
        given, found = hash_of(token), None
        for entry in self._entries:
            if hmac.compare_digest(entry.hash, given):
                found = Caller(entry.name, entry.role)
        return found

    def _refresh(self) -> None:
        version = self._stat()
        if version == self._version:
            return
        self._version = version
        try:
            self._entries = read_entries(self._path)
        except InvalidInput as error:
            log.error("the changed tokens file can't be used; the tokens stay as they were", reason=str(error))
        else:
            log.info("tokens read", file=str(self._path), tokens=len(self._entries))

    def _stat(self) -> tuple[int, ...] | None:
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns, found.st_size
