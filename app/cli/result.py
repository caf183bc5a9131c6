"""Telling what became of a run, and ending the program by it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import typer

from app.cli.backend import Backend, Document
from app.domain.errors import InvalidInput, Problem


@dataclass(frozen=True, slots=True)
class ResultFiles:
    """Where the result is to be written, each None where it was not asked for."""

    summary: Path | None = None
    junit: Path | None = None

    def check(self) -> None:
        """Before anything is sent, see that each can be written. Raises InvalidInput, by flag."""
        problems = [
            Problem(flag, f"{path}: {problem}", "name a file that can be written")
            for flag, path in self._named()
            if (problem := _obstacle(path))
        ]
        if problems:
            raise InvalidInput(*problems)

    def first_flag(self) -> str | None:
        """The flag of the first one that was asked for."""
        return next((flag for flag, _ in self._named()), None)

    def write(self, run: Document, figures: Document) -> None:
        """Raises OSError."""
        from app.cli.junit import junit
        from app.cli.output import as_json

        if self.summary:
            self.summary.write_text(as_json(figures), encoding="utf-8")
        if self.junit:
            self.junit.write_text(junit(run, figures), encoding="utf-8")

    def _named(self) -> Iterator[tuple[str, Path]]:
        for flag, path in (("--summary", self.summary), ("--junit", self.junit)):
            if path is not None:
                yield flag, path


def tell_result(backend: Backend, ended: Document, files: ResultFiles, json: bool) -> None:
    """Tell the result, and exit by it."""
    from app.cli.output import note, write_json
    from app.cli.report import exit_code, write_result

    figures = backend.summary(ended["id"])
    files.write(ended, figures)
    if json:
        write_json(figures)
        if ended["reason"]:
            note(f"{ended['state']}: {ended['reason']}")
    else:
        write_result(backend, ended, figures)
    raise typer.Exit(exit_code(ended))


def _obstacle(path: Path) -> str:
    """Why a file can't be written there, as far as can be seen before; empty when it can."""
    if path.is_dir():
        return "is a folder"
    if not path.parent.is_dir():
        return f"there is no folder {path.parent}"
    place = path if path.exists() else path.parent
    return "" if os.access(place, os.W_OK) else f"{place} can't be written to"
