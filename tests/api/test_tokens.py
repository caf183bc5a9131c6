"""The tokens file: what it may hold, and that it is followed as it changes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from app.api.roles import Caller, Role
from app.api.tokens import Tokens, hash_of, new_token, read_entries
from app.domain.errors import InvalidInput

HASH = hash_of("secret")


def entry(name: str, role: str = "viewer", hash_: str = HASH) -> str:
    return f"- name: {name}\n  role: {role}\n  hash: {hash_}\n"


def written(path: Path, text: str) -> Path:
    """The file, changed in a way that its time shows."""
    before = path.stat().st_mtime_ns if path.exists() else 0
    path.write_text(text, encoding="utf-8")
    os.utime(path, ns=(before + 1_000_000_000, before + 1_000_000_000))
    return path


def test_a_token_is_random_and_its_hash_says_nothing_of_it() -> None:
    tokens = {new_token() for _ in range(100)}
    assert len(tokens) == 100
    assert all(token.startswith("yeeter_") and len(token) == 50 for token in tokens)
    token = tokens.pop()
    assert token not in hash_of(token) and len(hash_of(token)) == len("sha256:") + 64


def test_each_token_is_its_own_caller(tmp_path: Path) -> None:
    given = {role: new_token() for role in Role}
    text = "".join(entry(f"the-{role}", role, hash_of(token)) for role, token in given.items())
    tokens = Tokens(written(tmp_path / "tokens", text))
    for role, token in given.items():
        assert tokens.caller(token) == Caller(f"the-{role}", role)
    for stranger in (new_token(), "", hash_of(given[Role.ADMIN]), given[Role.ADMIN][:-1], "\udc80"):
        assert tokens.caller(stranger) is None


def test_a_role_includes_those_before_it() -> None:
    allowed = {(role, needed) for role in Role for needed in Role if role.includes(needed)}
    assert allowed == {
        (Role.VIEWER, Role.VIEWER),
        (Role.OPERATOR, Role.VIEWER),
        (Role.OPERATOR, Role.OPERATOR),
        (Role.ADMIN, Role.VIEWER),
        (Role.ADMIN, Role.OPERATOR),
        (Role.ADMIN, Role.ADMIN),
    }


def test_a_token_that_is_taken_out_is_refused_at_once(tmp_path: Path) -> None:
    path = written(tmp_path / "tokens", entry("a", hash_=hash_of("1")) + entry("b", hash_=hash_of("2")))
    tokens = Tokens(path)
    assert tokens.caller("1") and tokens.caller("2") and not tokens.caller("3")
    written(path, entry("b", "admin", hash_of("2")) + entry("c", hash_=hash_of("3")))
    assert not tokens.caller("1")
    assert tokens.caller("2") == Caller("b", Role.ADMIN)
    assert tokens.caller("3")


def test_a_file_that_is_spoiled_changes_nothing_until_it_is_mended(tmp_path: Path) -> None:
    path = written(tmp_path / "tokens", entry("a"))
    tokens = Tokens(path)
    written(path, "- name: [")
    assert tokens.caller("secret") == Caller("a", Role.VIEWER)
    path.unlink()
    assert tokens.caller("secret") == Caller("a", Role.VIEWER)
    written(path, entry("a", "operator"))
    assert tokens.caller("secret") == Caller("a", Role.OPERATOR)
    written(path, "")
    assert tokens.caller("secret") is None


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: b", "holds no list"),
        ("- name: [", "not valid YAML"),
        ("- a", "entry 1"),
        (entry("a") + entry("a", "admin"), "'a' is given twice"),
        (entry("a") + entry("b", "root"), "entry 2: role"),
        (entry("a b"), "entry 1: name"),
        (entry("a", hash_="sha256:abc"), "entry 1: hash"),
        (entry("a", hash_="secret"), "entry 1: hash"),
        (entry("a") + "  token: secret\n", "entry 1: token"),
        ("- !!python/object/apply:os.system ['true']", "not valid YAML"),
        ("[" * 5000, "not valid YAML"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(text: str, problem: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=problem) as caught:
        read_entries(written(tmp_path / "tokens", text))
    assert caught.value.problems[0].field == "YEETER_TOKENS_FILE"
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("text", [None, "", "# none yet\n", "[]"])
def test_a_server_needs_a_token_to_begin_with(text: str | None, tmp_path: Path) -> None:
    path = tmp_path / "tokens"
    if text is not None:
        written(path, text)
    with pytest.raises(InvalidInput, match="yeeter tokens create"):
        Tokens(path)
