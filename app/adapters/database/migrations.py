"""The schema's revisions, which Alembic brings about (``alembic/versions``)."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from sqlalchemy import Connection, inspect, text

import app
from app.domain.errors import SchemaMissing

HEAD: Final = "0009_events_by_their_feed"  # this version's
ROOT = Path(app.__file__).resolve().parent.parent
_PACKAGED = Path(__file__).parent / "alembic"  # where a wheel has the migrations
_MIGRATIONS = _PACKAGED if _PACKAGED.is_dir() else ROOT / "alembic"
_LOCK = 0x79656574  # "yeet": API replicas that start together migrate one after the other


def revision_of(connection: Connection) -> str | None:
    """The revision that a database is at; None: it has no schema of ours."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    revision = connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none()
    return None if revision is None else str(revision)


def problem_of(name: str, revision: str | None) -> str:
    """What is wrong with this revision of the database ``name``, with the cure; empty where it is this version's."""
    if revision == HEAD:
        return ""
    if revision is None or any(path.name.startswith(revision) for path in (_MIGRATIONS / "versions").iterdir()):
        return f"{name}: schema is at {revision or 'nothing'}, not {HEAD}; run `yeeter db upgrade`"
    cure = "use a version of Yeeter that does, or another database"
    return f"{name}: schema is at {revision}, which this version does not know; {cure}"


def upgrade(connection: Connection) -> None:
    """To the head, in the connection's transaction; nothing to do where it is there.

    Raises:
        SchemaMissing: a newer version of the program has been here.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"SELECT pg_advisory_xact_lock({_LOCK})"))
    revision = revision_of(connection)
    if revision == HEAD:
        return
    from alembic.config import Config  # late: a quarter of what a process takes to start, and hardly one migrates
    from alembic.util import CommandError

    from alembic import command

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, "head")
    except CommandError as error:  # it finds no way from there
        raise SchemaMissing(problem_of(connection.dialect.name, revision)) from error
