"""``yeeter tokens``: who may ask the API. Made here, kept as hashes in the file that YEETER_TOKENS_FILE names."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.api.roles import Role
from app.cli import options
from app.cli.output import note, write, write_json, write_table

if TYPE_CHECKING:
    from app.api.tokens import TokenEntry

tokens = typer.Typer(no_args_is_help=True)

_LIST = (("name", "NAME"), ("role", "ROLE"))


@tokens.command()
def create(
    name: Annotated[str, typer.Option(metavar="NAME", help="Whose it is, e.g. ci.")],
    role: Annotated[Role, typer.Option(help="viewer reads, operator runs, admin does everything.")],
    file: Annotated[Path | None, typer.Option(metavar="FILE", help="Tokens file to add its entry to.")] = None,
    json: options.Json = False,
) -> None:
    """Make a token. It is shown this once; what is kept is its hash."""
    from app.api.tokens import hash_of, new_token
    from app.cli.tokens_file import add_entry, entry_text, make_entry

    token = new_token()
    entry = make_entry(name, role, hash_of(token))
    if file is not None:
        add_entry(file, entry)
    if json:
        write_json({"token": token, **entry.model_dump(mode="json")})
        return
    write(token)
    if file is None:
        note(f"add this to the file that YEETER_TOKENS_FILE names:\n{entry_text(entry).rstrip()}")
    else:
        note(f"added {entry.name}, {entry.role}, to {file}; the token is not shown again")


@tokens.command("list")
def list_(
    file: Annotated[Path | None, typer.Option(metavar="FILE", help="Default: YEETER_TOKENS_FILE.")] = None,
    json: options.Json = False,
) -> None:
    """Show whose tokens there are, and their roles."""
    rows = [{"name": entry.name, "role": entry.role.value} for entry in _entries(file)]
    if json:
        write_json(rows)
    else:
        write_table(rows, _LIST)


def _entries(file: Path | None) -> list[TokenEntry]:
    from app.api.tokens import SETTING, read_entries
    from app.domain.errors import InvalidInput, Problem
    from app.settings import load_settings

    path = file or load_settings().tokens_file
    if path is None:
        raise InvalidInput(Problem("--file", f"{SETTING} is not set", "name a file"))
    return read_entries(path)
