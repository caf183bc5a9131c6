"""Asking before something is done that can't be taken back."""

from __future__ import annotations

import sys

import typer

from app.domain.errors import InvalidInput, Problem


def confirm(question: str, yes: bool) -> None:
    """Go on, or not: ``yes`` has it done without a question.

    Raises:
        InvalidInput: nobody is there to be asked.
        typer.Abort: they said no.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise InvalidInput(Problem("--yes", f"nobody is there to be asked: {question}", "add --yes"))
    typer.confirm(question, abort=True, err=True)
