"""``yeeter events RUN``: what happened in a run, as it was recorded."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Annotated

import typer

from app.cli import options
from app.cli.backend import Backend, Document, open_backend
from app.cli.output import write, write_json, write_json_line
from app.domain.run import RunState

POLL = 0.5  # seconds between two looks when nothing is new
PAGE = 500


def events(
    name: options.RunName,
    follow: Annotated[bool, typer.Option("--follow", help="Go on until the run has ended.")] = False,
    after: Annotated[str | None, typer.Option(metavar="CURSOR", help="Only what came after this event.")] = None,
    limit: options.Limit = 100,
    server: options.Server = None,
    json: options.Json = False,
) -> None:
    """Show a run's events, the oldest first. With --follow, --json writes one a line."""
    with open_backend(server) as backend:
        if follow:
            for row in _followed(backend, name, after):
                write_json_line(row) if json else _write(row)
            return
        rows = _first(backend, name, after, limit)
    if json:
        write_json(rows)
    else:
        for row in rows:
            _write(row)


def _first(backend: Backend, name: str, after: str | None, limit: int) -> list[Document]:
    found: list[Document] = []
    while len(found) < limit:
        rows, after = backend.events(name, after, min(limit - len(found), PAGE))
        found += rows
        if not rows:
            break
    return found


def _followed(backend: Backend, name: str, after: str | None) -> Iterator[Document]:
    """Until the run has ended and its last event was seen."""
    while True:
        ended = RunState(backend.run(name)["state"]).is_terminal  # asked first: what comes later is not its end
        rows, after = backend.events(name, after, PAGE)
        yield from rows
        if not rows:
            if ended:
                return
            time.sleep(POLL)


def _write(row: Document) -> None:
    order = "" if row["order_number"] is None else f"order {row['order_number']}"
    data = "  ".join(f"{name}={value}" for name, value in row["data"].items())
    write(f"{row['at']:<32}  {row['kind']:<15}  {order:<12}  {data}".rstrip())
