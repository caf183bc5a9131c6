"""``yeeter tokens``, and what a server asks for that others can reach."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
import yaml

from app.api.roles import Caller, Role
from app.api.tokens import Tokens, hash_of
from tests.cli.conftest import Yeeter


def test_a_token_is_shown_once_and_its_entry_kept(yeeter: Yeeter, tmp_path: Path) -> None:
    file = tmp_path / "tokens.yaml"
    made = {role: yeeter("tokens", "create", "--name", f"the-{role}", "--role", role, "--file", file) for role in Role}
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    tokens = Tokens(file)
    for role, result in made.items():
        token = result.out.strip()
        assert result.code == 0
        assert tokens.caller(token) == Caller(f"the-{role}", role)
        assert token not in file.read_text(encoding="utf-8") + result.err
    listed = yeeter("tokens", "list", "--file", file)
    assert [line.split() for line in listed.out.splitlines()[1:]] == [[f"the-{role}", role] for role in Role]


def test_without_a_file_the_entry_is_told(yeeter: Yeeter, tmp_path: Path) -> None:
    result = yeeter("tokens", "create", "--name", "yes", "--role", "operator")
    _, _, entry = result.err.partition(":\n")
    assert yaml.safe_load(entry) == [{"name": "yes", "role": "operator", "hash": hash_of(result.out.strip())}]
    assert list(tmp_path.iterdir()) == []
    document = yeeter("tokens", "create", "--name", "ci", "--role", "viewer", "--json").json
    assert document == {
        "token": document["token"],
        "name": "ci",
        "role": "viewer",
        "hash": hash_of(document["token"]),
    }


def test_what_people_wrote_stays(yeeter: Yeeter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "tokens.yaml"
    text = f"# ours\n- {{name: a, role: admin, hash: '{hash_of('x')}'}}  # Anna\n\n# no end of line"
    file.write_text(text, encoding="utf-8")
    file.chmod(0o640)
    assert yeeter("tokens", "create", "--name", "b", "--role", "viewer", "--file", file).code == 0
    assert file.read_text(encoding="utf-8").startswith(text)
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    monkeypatch.setenv("YEETER_TOKENS_FILE", str(file))
    assert yeeter("tokens", "list", "--json").json == [
        {"name": "a", "role": "admin"},
        {"name": "b", "role": "viewer"},
    ]


@pytest.mark.parametrize(
    ("text", "name", "problem"),
    [
        (f"- {{name: ci, role: admin, hash: '{hash_of('x')}'}}\n", "ci", "has a token 'ci'"),
        (f"[{{name: a, role: admin, hash: '{hash_of('x')}'}}]\n", "ci", "add it by hand"),
        ("a: b\n", "ci", "holds no list"),
        ("", "a b", "--name"),
        ("", "", "--name"),
    ],
)
def test_a_file_is_never_spoiled(yeeter: Yeeter, tmp_path: Path, text: str, name: str, problem: str) -> None:
    file = tmp_path / "tokens.yaml"
    file.write_text(text, encoding="utf-8")
    result = yeeter("tokens", "create", "--name", name, "--role", "viewer", "--file", file)
    assert (result.code, result.out) == (2, "")
    assert problem in result.errors[0]
    assert file.read_text(encoding="utf-8") == text


@pytest.mark.parametrize("arguments", [("list",), ("create",), ("create", "--name", "ci", "--role", "root")])
def test_what_is_missing_is_said(yeeter: Yeeter, arguments: tuple[str, ...]) -> None:
    result = yeeter("tokens", *arguments)
    assert (result.code, len(result.errors)) == (2, 1)


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_a_server_that_others_reach_needs_tokens(yeeter: Yeeter, host: str) -> None:
    result = yeeter("serve", "--host", host)
    assert (result.code, result.out, len(result.err.splitlines())) == (2, "", 1)
    assert result.errors[0].startswith(f"YEETER_HOST: {host} is not a loopback address")
    assert "yeeter tokens create" in result.errors[0]
