"""PostgreSQL and SQLite through SQLAlchemy Core; the only room that knows SQL."""

from app.adapters.database.database import SqlDatabase

__all__ = ["SqlDatabase"]
