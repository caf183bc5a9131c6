"""Telling what became of a run, and ending the program by it."""

from __future__ import annotations

from pathlib import Path

import typer

from app.cli.backend import Backend, Document
from app.domain.errors import InvalidInput, Problem


def check_summary(path: Path | None) -> None:
    """Before anything is sent, see that the summary can be written."""
    check_file(path, "--summary")


def check_file(path: Path | None, flag: str) -> None:
    """See that the file of a flag can be written. Raises InvalidInput, which names the flag."""
    if path is None:
        return
    if path.is_dir() or not path.parent.is_dir():
        problem = "is a folder" if path.is_dir() else f"there is no folder {path.parent}"
        raise InvalidInput(Problem(flag, f"{path}: {problem}", "name a file in a folder that is there"))


def tell_result(backend: Backend, ended: Document, summary: Path | None, json: bool) -> None:
    """Tell the result, and exit by it."""
    from app.cli.output import as_json, note, write_json
    from app.cli.report import exit_code, write_result

    figures = backend.summary(ended["id"])
    if summary:
        summary.write_text(as_json(figures), encoding="utf-8")
    if json:
        write_json(figures)
        if ended["reason"]:
            note(f"{ended['state']}: {ended['reason']}")
    else:
        write_result(backend, ended, figures)
    raise typer.Exit(exit_code(ended))
