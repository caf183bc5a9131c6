"""Doubles that do what nobody foresaw at one place, and are honest everywhere else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, cast

from app.adapters.database import SqlDatabase
from app.ports import Database

Act = Callable[..., Any]  # gets the honest method, and its arguments


def no_good(honest: Act, *args: Any, **kw: Any) -> Any:
    raise ZeroDivisionError("a defect")


class Broken:
    """``honest``, but for the method at ``path`` (dots between attributes), in whose place ``act`` is called."""

    def __init__(self, honest: Any, path: str, act: Act = no_good) -> None:
        self._honest = honest
        self._name, _, self._rest = path.partition(".")
        self._act = act

    def __getattr__(self, name: str) -> Any:
        honest = getattr(self._honest, name)
        if name != self._name:
            return honest
        if self._rest:
            return Broken(honest, self._rest, self._act)
        return lambda *args, **kw: self._act(honest, *args, **kw)


class _BrokenDatabase:
    def __init__(self, honest: SqlDatabase, path: str, act: Act) -> None:
        self.queries = honest.queries
        self.feed = honest.feed
        self._honest = honest
        self._path = path
        self._act = act

    @contextmanager
    def transaction(self) -> Iterator[Broken]:
        with self._honest.transaction() as work:
            yield Broken(work, self._path, self._act)


def broken_database(honest: SqlDatabase, path: str, act: Act = no_good) -> Database:
    """``path``: of a method of the unit of work, such as ``jobs.finish``."""
    return cast(Database, _BrokenDatabase(honest, path, act))
