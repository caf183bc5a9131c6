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


def upgrade(connection: Connection) -> None:
    """To the head, in the connection's transaction; nothing to do where it is there.

    Raises:
        SchemaMissing: a newer version of the program has been here.
    """
    name = connection.dialect.name
    if name == "postgresql":
        connection.execute(text(f"SELECT pg_advisory_xact_lock({_LOCK})"))
    revision = revision_of(connection)
    if revision == HEAD:
        return
    from alembic.config import Config  # late: a quarter of what a process takes to start, and hardly one migrates
    from alembic.script import ScriptDirectory

    from alembic import command

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    config.attributes["connection"] = connection
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if revision is not None and revision not in known:
        cure = "use a version of Yeeter that does, or another database"
        raise SchemaMissing(f"{name}: schema is at {revision}, which this version does not know; {cure}")
    command.upgrade(config, "head")
