"""Reading pages until there are enough rows."""

from __future__ import annotations

from collections.abc import Callable

from app.cli.backend import Document

MAX_PAGE = 500  # the API gives no more at a time


def collect(page: Callable[[str | None, int], tuple[list[Document], str | None]], limit: int) -> list[Document]:
    """Up to ``limit`` rows; ``page(after, count)`` gives rows and the next cursor, None at the end."""
    rows: list[Document] = []
    cursor: str | None = None
    while len(rows) < limit:
        more, cursor = page(cursor, min(MAX_PAGE, limit - len(rows)))
        rows += more
        if cursor is None:
            break
    return rows
