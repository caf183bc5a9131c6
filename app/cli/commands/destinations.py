"""``yeeter destinations``: which are away, and how many jobs wait for them."""

from __future__ import annotations

import typer

from app.cli import options
from app.cli.backend import open_backend
from app.cli.output import write, write_json, write_table

destinations = typer.Typer(no_args_is_help=True)

_LIST = (
    ("key", "DESTINATION"),
    ("state", "STATE"),
    ("faults", "FAULTS"),
    ("parked_jobs", "PARKED JOBS"),
    ("since", "SINCE"),
    ("reason", "REASON"),
)
_PARKED = (("run_key", "RUN"), ("waiting_for", "WAITING FOR"), ("jobs", "JOBS"))


@destinations.callback()
def _group() -> None:
    """Keeps `list` a subcommand, though it is the only one."""


@destinations.command("list")
def list_(server: options.Server = None, json: options.Json = False) -> None:
    """Show the destinations that something was held against, and the jobs that wait without a message."""
    with open_backend(server) as backend:
        health = backend.destinations()
    if json:
        write_json(health)
        return
    write_table(health["destinations"], _LIST)
    if health["parked"]:
        write()
        write_table(health["parked"], _PARKED)
