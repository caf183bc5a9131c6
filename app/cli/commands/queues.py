"""``yeeter queues``: the broker's queues that are in use."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from app.cli import options
from app.cli.backend import open_backend
from app.cli.consent import confirm
from app.cli.output import note, write_json, write_table

queues = typer.Typer(no_args_is_help=True)

_RUNS = (("run_key", "RUN"), ("jobs", "JOBS"))
_LIST = (
    ("name", "QUEUE"),
    ("ready", "READY"),
    ("consumers", "CONSUMERS"),
    ("used_by", "USED BY"),
    ("note", "NOTE"),
)

Name = Annotated[str, typer.Argument(metavar="QUEUE", show_default=False)]


@queues.command("list")
def list_(server: options.Server = None, json: options.Json = False) -> None:
    """Show the queues of templates and runs, and the dead one: messages that wait, and who takes them."""
    with open_backend(server) as backend:
        rows = backend.queues()
    if json:
        write_json(rows)
    else:
        write_table([row | {"used_by": ", ".join(row["used_by"])} for row in rows], _LIST)


@queues.command()
def purge(
    name: Name,
    jobs: Annotated[
        Literal["park", "dead-letter", "cancel"],
        typer.Option(help="What becomes of the jobs: they wait for `release`, are dead letters, or are cancelled."),
    ],
    yes: options.Yes = False,
    server: options.Server = None,
    json: options.Json = False,
) -> None:
    """Throw away what waits in a queue; jobs that a worker has begun are finished by it."""
    with open_backend(server) as backend:
        confirm(f"throw away what waits in {name}, and {jobs} its jobs?", yes)
        purged = backend.purge_queue(name, jobs)
    if json:
        write_json(purged)
    else:
        write_table(purged["runs"], _RUNS)
        note(f"threw {purged['messages']} messages away")


@queues.command()
def release(name: Name, server: options.Server = None, json: options.Json = False) -> None:
    """Have the jobs that a purge of the queue has parked published again."""
    with open_backend(server) as backend:
        released = backend.release_queue(name)
    if json:
        write_json(released)
    else:
        write_table(released["runs"], _RUNS)
