"""Fixtures of the contract tests."""

from __future__ import annotations

from tests.contract.database_fixtures import database, engine, play, postgres_database, sqlite_database

__all__ = ["database", "engine", "play", "postgres_database", "sqlite_database"]
