"""``yeeter db``: the database's schema."""

from __future__ import annotations

import typer

from app.cli.output import write

database = typer.Typer(no_args_is_help=True)


@database.command()
def upgrade() -> None:
    """Migrate the database to this version's schema, and add or renew the shipped templates."""
    from app.bootstrap import bootstrap, prepare_database
    from app.settings import load_settings

    with bootstrap(load_settings()) as bundle:
        prepare_database(bundle)
        write(bundle.database.check())
