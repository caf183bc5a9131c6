"""``yeeter dead-letters``: jobs that were given up, and having them tried again."""

from __future__ import annotations

from typing import Annotated

import typer

from app.cli import options
from app.cli.backend import Backend, Document, open_backend
from app.cli.consent import confirm
from app.cli.exit_codes import ERROR
from app.cli.output import note, write, write_fields, write_json, write_table
from app.domain.errors import InvalidInput, Problem
from app.domain.work import MAX_SELECTED, DeadLetterFilter, DeadLetterKind, DeadLetterSelection, DeadLetterState

dead_letters = typer.Typer(no_args_is_help=True)

_LIST = (
    ("id", "ID"),
    ("state", "STATE"),
    ("kind", "KIND"),
    ("run_key", "RUN"),
    ("order_number", "ORDER"),
    ("step_type", "STEP"),
    ("queue", "QUEUE"),
    ("at", "AT"),
    ("reason", "REASON"),
)
_HISTORY = (
    ("epoch", "EPOCH"),
    ("starts", "START"),
    ("at", "AT"),
    ("worker", "WORKER"),
    ("outcome", "OUTCOME"),
    ("delay_seconds", "AGAIN IN"),
    ("reason", "REASON"),
)
_GROUPS = (
    ("state", "STATE"),
    ("kind", "KIND"),
    ("queue", "QUEUE"),
    ("step_type", "STEP"),
    ("count", "LETTERS"),
    ("oldest", "OLDEST"),
    ("newest", "NEWEST"),
)
_RUNS = (("run_key", "RUN"), ("state", "STATE"), ("epoch", "EPOCH"), ("jobs", "JOBS"))

Run = Annotated[str | None, typer.Option(metavar="RUN", help="Only letters of this run (run key or id).")]
Queue = Annotated[str | None, typer.Option(metavar="QUEUE", help="Only letters of this queue.")]
Kind = Annotated[DeadLetterKind | None, typer.Option(case_sensitive=False, help="Only letters of this kind.")]
Search = Annotated[str | None, typer.Option(metavar="TEXT", help="Only with this in their reason.")]
Step = Annotated[str | None, typer.Option(metavar="TYPE", help="Only where a step of this type failed.")]
Ids = Annotated[list[int] | None, typer.Argument(metavar="[ID]...", min=1, help="Letters.", show_default=False)]
All = Annotated[bool, typer.Option("--all", help="All that are open.")]
AtMost = Annotated[int, typer.Option("--limit", min=1, max=MAX_SELECTED, help="At most so many, the oldest first.")]


@dead_letters.command("list")
def list_(
    state: Annotated[
        DeadLetterState | None, typer.Option(case_sensitive=False, help="Only letters in this state.")
    ] = None,
    run: Run = None,
    queue: Queue = None,
    kind: Kind = None,
    search: Search = None,
    step: Step = None,
    limit: options.Limit = 100,
    server: options.Server = None,
    json: options.Json = False,
) -> None:
    """Show dead letters, the newest first."""
    wanted = DeadLetterFilter(state, run, queue, kind, search, step)
    with open_backend(server) as backend:
        rows = backend.dead_letters(wanted, limit)
    if json:
        write_json(rows)
    else:
        write_table(rows, _LIST)


@dead_letters.command()
def show(
    id: Annotated[int, typer.Argument(metavar="ID", min=1, show_default=False)],
    server: options.Server = None,
    json: options.Json = False,
) -> None:
    """Show a dead letter: what was tried, its message, and the traceback of a defect."""
    with open_backend(server) as backend:
        letter = backend.dead_letter(id)
    if json:
        write_json(letter)
        return
    write_fields({name: value for name, value in letter.items() if name not in ("body", "traceback", "history")})
    _heading("History")
    write_table(letter["history"], _HISTORY, indent=2)
    _heading("Message")
    write(letter["body"])
    if letter["traceback"]:
        _heading("Traceback")
        write(letter["traceback"].rstrip())


@dead_letters.command()
def stats(server: options.Server = None, json: options.Json = False) -> None:
    """Count dead letters by state, kind, queue and step type."""
    with open_backend(server) as backend:
        statistics = backend.dead_letter_statistics()
    if json:
        write_json(statistics)
    else:
        write_table(statistics["groups"], _GROUPS)


@dead_letters.command()
def retry(
    ids: Ids = None,
    run: Run = None,
    queue: Queue = None,
    kind: Kind = None,
    search: Search = None,
    step: Step = None,
    all_: All = False,
    limit: AtMost = MAX_SELECTED,
    yes: options.Yes = False,
    server: options.Server = None,
    json: options.Json = False,
) -> None:
    """Have their jobs go on where they failed; a run that has ended with errors is reopened."""
    wanted = DeadLetterFilter(run=run, queue=queue, kind=kind, search=search, step_type=step)
    selection = _selection(ids, wanted, limit, all_)
    with open_backend(server) as backend:
        _ask(backend, selection, "retry", yes)
        outcome = backend.retry_dead_letters(selection)
        if json:
            write_json(outcome)
        else:
            write_table(outcome["runs"], _RUNS)
        if not backend.has_producers:
            for each in outcome["runs"]:
                if each["reopened"]:
                    note(f"run {each['run_key']} was reopened: `yeeter runs resume {each['run_key']}` goes on with it")
    _refuse(outcome)


@dead_letters.command()
def discard(
    ids: Ids = None,
    run: Run = None,
    queue: Queue = None,
    kind: Kind = None,
    search: Search = None,
    step: Step = None,
    all_: All = False,
    limit: AtMost = MAX_SELECTED,
    yes: options.Yes = False,
    server: options.Server = None,
    json: options.Json = False,
) -> None:
    """Settle them without doing anything; their orders stay FAILED."""
    wanted = DeadLetterFilter(run=run, queue=queue, kind=kind, search=search, step_type=step)
    selection = _selection(ids, wanted, limit, all_)
    with open_backend(server) as backend:
        _ask(backend, selection, "discard", yes)
        outcome = backend.discard_dead_letters(selection)
    if json:
        write_json(outcome)
    else:
        note(f"discarded {outcome['letters']}")
    _refuse(outcome)


def _selection(ids: list[int] | None, wanted: DeadLetterFilter, limit: int, all_: bool) -> DeadLetterSelection:
    is_filtered = wanted != DeadLetterFilter()
    if ids and (is_filtered or all_):
        raise InvalidInput(Problem("ID", "ids and a filter are given", "give one of the two"))
    if not (ids or is_filtered or all_):
        raise InvalidInput(Problem("ID", "no dead letter is named", "give ids, a filter such as --run, or --all"))
    return DeadLetterSelection(tuple(ids or ()), wanted, limit)


def _ask(backend: Backend, selection: DeadLetterSelection, verb: str, yes: bool) -> None:
    """Letters that are not named one by one are counted first."""
    if not selection.ids and not yes:
        count = len(backend.dead_letters(selection.wanted, selection.limit))
        confirm(f"{verb} {count} dead letters?", yes)


def _refuse(outcome: Document) -> None:
    for refusal in outcome["refused"]:
        note(f"left as it is: dead letter {refusal['id']}: {refusal['reason']}", style="yellow")
    if outcome["refused"]:
        raise typer.Exit(ERROR)


def _heading(text: str) -> None:
    write()
    write(text, style="bold")
