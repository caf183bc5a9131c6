"""Alembic's entry: runs the migrations on the connection it is given, or on the database of the settings."""

from __future__ import annotations

from sqlalchemy import Connection

from alembic import context
from app.adapters.database.engine import make_engine
from app.adapters.database.tables import metadata
from app.settings import load_settings


def run(connection: Connection) -> None:
    context.configure(
        connection=connection, target_metadata=metadata, render_as_batch=connection.dialect.name == "sqlite"
    )
    with context.begin_transaction():
        context.run_migrations()


given = context.config.attributes.get("connection")
if given is not None:
    run(given)
else:
    with make_engine(load_settings().sqlalchemy_url).begin() as own:
        run(own)
