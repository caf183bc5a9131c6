"""``yeeter runs``: the runs there are, and what became of them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from app.cli import options
from app.cli.backend import open_backend
from app.cli.commands.events import events
from app.cli.commands.resume import resume
from app.cli.output import note, write, write_fields, write_json, write_table
from app.cli.report import FINDING_COLUMNS, write_figures, write_result
from app.domain.run import RunState

runs = typer.Typer(no_args_is_help=True)
runs.command()(events)  # the same as `yeeter events`
runs.command()(resume)

_LIST = (
    ("run_key", "RUN"),
    ("state", "STATE"),
    ("verdict", "VERDICT"),
    ("template_name", "TEMPLATE"),
    ("requested", "ORDERS"),
    ("created_at", "CREATED"),
    ("reason", "REASON"),
)


@runs.command("list")
def list_(
    state: Annotated[RunState | None, typer.Option(case_sensitive=False, help="Only runs in this state.")] = None,
    template: Annotated[str | None, typer.Option(metavar="NAME", help="Only runs of this template.")] = None,
    limit: options.Limit = 20,
    server: options.Server = None,
    json: options.Json = False,
) -> None:
    """Show runs, the newest first."""
    with open_backend(server) as backend:
        rows = backend.runs(state, template, limit)
    if json:
        write_json(rows)
    else:
        write_table(rows, _LIST)


@runs.command()
def report(
    name: options.RunName,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="HTML file to write.", show_default=False)],
    server: options.Server = None,
) -> None:
    """Write a run's report: one HTML file without scripts, which needs no network."""
    with open_backend(server) as backend:
        file.write_text(backend.report(name), encoding="utf-8")
    note(f"written to {file}")


@runs.command()
def show(name: options.RunName, server: options.Server = None, json: options.Json = False) -> None:
    """Show a run and its result."""
    with open_backend(server) as backend:
        run = backend.run(name)
        if json:
            write_json(run)
            return
        write_fields({key: value for key, value in run.items() if key != "document"})
        if run["verdict"]:
            write()
            write_result(backend, run, backend.summary(run["id"]))


@runs.command()
def cancel(name: options.RunName, server: options.Server = None, json: options.Json = False) -> None:
    """Ask a run to stop: what was sent is still finished and reconciled."""
    with open_backend(server) as backend:
        run = backend.cancel_run(name)
    if json:
        write_json(run)
    else:
        note(f"run {run['run_key']} is {run['state']}")


@runs.command()
def pause(name: options.RunName, server: options.Server = None, json: options.Json = False) -> None:
    """Have a run begin nothing new until it is resumed."""
    with open_backend(server) as backend:
        run = backend.pause_run(name)
    if json:
        write_json(run)
    else:
        note(f"run {run['run_key']} is {run['state']}; `yeeter runs resume {run['run_key']}` has it go on")


@runs.command()
def delete(name: options.RunName, server: options.Server = None) -> None:
    """Delete a run that has ended, with its orders and events."""
    with open_backend(server) as backend:
        backend.delete_run(name)
    note(f"deleted {name}")


@runs.command()
def findings(
    name: options.RunName, limit: options.Limit = 1000, server: options.Server = None, json: options.Json = False
) -> None:
    """Show what reconciliation found wrong, order by order."""
    with open_backend(server) as backend:
        rows = backend.findings(name, limit)
    if json:
        write_json(rows)
    else:
        write_table(rows, FINDING_COLUMNS)


@runs.command()
def metrics(name: options.RunName, server: options.Server = None, json: options.Json = False) -> None:
    """Show a run's figures; those so far while it is under way."""
    with open_backend(server) as backend:
        summary = backend.summary(name)
    if json:
        write_json(summary)
    else:
        write_figures(summary)
