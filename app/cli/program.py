"""The command tree, and what becomes of errors: a line each on stderr, and the exit code."""

from __future__ import annotations

from collections.abc import Sequence

import typer

from app.cli.commands.bench import bench
from app.cli.commands.compare import compare
from app.cli.commands.database import database
from app.cli.commands.dead_letters import dead_letters
from app.cli.commands.destinations import destinations
from app.cli.commands.doctor import doctor
from app.cli.commands.events import events
from app.cli.commands.metrics import metrics
from app.cli.commands.orders import orders
from app.cli.commands.programs import autoscaler, serve, worker
from app.cli.commands.queues import queues
from app.cli.commands.receive import receive
from app.cli.commands.run import run
from app.cli.commands.runs import runs
from app.cli.commands.settings import settings
from app.cli.commands.templates import templates
from app.cli.commands.tokens import tokens
from app.cli.commands.version import version
from app.cli.commands.workers import workers
from app.cli.exit_codes import ERROR, PASS, USAGE
from app.cli.output import note
from app.domain.errors import InvalidInput, YeeterError

NAME = "yeeter"

_LAUNCH, _LOOK, _SERVE, _KEEP = "Launch", "Look", "Programs", "Upkeep"

root = typer.Typer(no_args_is_help=True, help="Plays a hospital's imaging department at load, and proves what arrived.")
root.command(rich_help_panel=_LAUNCH)(run)
root.add_typer(templates, name="templates", help="Templates and their steps.", rich_help_panel=_LAUNCH)
root.add_typer(runs, name="runs", help="Runs: list, show, cancel, delete.", rich_help_panel=_LOOK)
root.add_typer(orders, name="orders", help="The orders of a run.", rich_help_panel=_LOOK)
root.command(rich_help_panel=_LOOK)(events)
root.add_typer(metrics, name="metrics", help="Figures of runs and workers.", rich_help_panel=_LOOK)
root.command(rich_help_panel=_LOOK)(compare)
root.command(rich_help_panel=_SERVE)(serve)
root.command(rich_help_panel=_SERVE)(worker)
root.command(rich_help_panel=_SERVE)(autoscaler)
root.add_typer(receive, name="receive", help="Built-in receivers, honest or lying.", rich_help_panel=_SERVE)
root.command(rich_help_panel=_KEEP)(doctor)
root.add_typer(dead_letters, name="dead-letters", help="Jobs that were given up.", rich_help_panel=_KEEP)
root.add_typer(workers, name="workers", help="Workers, and how many there are to be.", rich_help_panel=_KEEP)
root.add_typer(queues, name="queues", help="The broker's queues.", rich_help_panel=_KEEP)
root.add_typer(destinations, name="destinations", help="Destinations that are away.", rich_help_panel=_KEEP)
root.add_typer(database, name="db", help="The database: its schema, and what is kept in it.", rich_help_panel=_KEEP)
root.add_typer(bench, name="bench", help="Measure Yeeter itself.", rich_help_panel=_KEEP)
root.add_typer(tokens, name="tokens", help="Who may ask the API.", rich_help_panel=_KEEP)
root.command(rich_help_panel=_KEEP)(settings)
root.command(rich_help_panel=_KEEP)(version)


def run_program(argv: Sequence[str] | None = None) -> int:
    """Parse, run, and turn what was raised into a line for each problem and an exit code."""
    try:
        code = root(argv, prog_name=NAME, standalone_mode=False)
    except typer.TyperException as error:
        return _usage(error)
    except typer.Abort:
        return _fail(ERROR, "aborted")
    except InvalidInput as error:
        return _fail(USAGE, *map(str, error.problems))
    except YeeterError as error:
        return _fail(ERROR, str(error))
    except OSError as error:
        named = f"{error.filename}: {error.strerror}" if error.filename else str(error)
        return _fail(ERROR, named)
    return code if isinstance(code, int) else PASS


def _usage(error: typer.TyperException) -> int:
    text = " ".join(error.format_message().replace("Value error, ", "").split())
    if not text:  # a command without its subcommand: the help was shown instead
        return USAGE
    context = getattr(error, "ctx", None)
    where = f" (see {context.command_path} --help)" if context else ""
    return _fail(USAGE, text.rstrip(".") + where)


def _fail(code: int, *lines: str) -> int:
    for line in lines:
        note(f"error: {' '.join(line.split())}", style="red")
    return code
