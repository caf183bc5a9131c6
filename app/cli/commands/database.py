"""``yeeter db``: the database's schema, and how much is kept in it."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.cli import options
from app.cli.consent import confirm
from app.cli.output import note, write, write_json, write_table

if TYPE_CHECKING:
    from app.ports import EndedRun
    from app.runs.tending.prune import Expired

database = typer.Typer(no_args_is_help=True)

_RUNS = (
    ("run_key", "RUN"),
    ("state", "STATE"),
    ("template_name", "TEMPLATE"),
    ("requested", "ORDERS"),
    ("ended_at", "ENDED"),
)


@database.command()
def upgrade() -> None:
    """Migrate the database to this version's schema, and add or renew the shipped templates."""
    from app.bootstrap import bootstrap, prepare_database
    from app.settings import load_settings

    with bootstrap(load_settings()) as bundle:
        prepare_database(bundle)
        write(bundle.database.check())


@database.command()
def prune(
    older_than: Annotated[str, typer.Option(metavar="AGE", show_default=False, help="e.g. 12h, 30d or 8w.")],
    keep_runs: Annotated[
        int, typer.Option(min=0, metavar="N", help="Keep the N newest runs that have ended, whatever their age.")
    ] = 0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be removed.")] = False,
    yes: options.Yes = False,
    json: options.Json = False,
) -> None:
    """Remove runs that ended so long ago, with all that was kept of them, and other old records."""
    from app.bootstrap import bootstrap
    from app.cli.backend.local import ready_database
    from app.cli.request import read_flag
    from app.domain.duration import parse_duration
    from app.runs.tending import prune as pruning
    from app.settings import load_settings

    seconds = read_flag(parse_duration, older_than, "--older-than")
    assert seconds is not None
    with bootstrap(load_settings()) as bundle:
        ready_database(bundle)
        expired = pruning.find_expired(bundle.database, seconds, keep_runs)
        if not dry_run and not expired.is_empty:
            confirm(f"remove {_in_words(expired)} for good?", yes)
            expired = pruning.prune(bundle.database, expired, bundle.studies, bundle.settings.run_folder, tell=_tell)
    if json:
        write_json(_as_document(expired, dry_run))
        return
    if dry_run:
        write_table((_as_row(run) for run in expired.runs), _RUNS)
    write(f"{'would remove' if dry_run else 'removed'} {_in_words(expired)}")


def _in_words(expired: Expired) -> str:
    kinds = [f"{count} {kind.replace('_', ' ')}" for kind, count in expired.records.items() if count]
    return ", ".join([f"{len(expired.runs)} runs", *kinds])


def _as_document(expired: Expired, dry_run: bool) -> dict[str, Any]:
    return {
        "before": expired.before.isoformat(),
        "dry_run": dry_run,
        "runs": [_as_row(run) for run in expired.runs],
        "records": expired.records,
    }


def _as_row(run: EndedRun) -> dict[str, Any]:
    return asdict(run) | {"ended_at": run.ended_at.isoformat(timespec="seconds")}


def _tell(run: EndedRun) -> None:
    note(f"removed run {run.run_key}: {run.requested} orders, ended {run.ended_at:%Y-%m-%d %H:%M}")
