"""What every study store is asked for by: IDs that lead nowhere else, whatever they become a part of."""

from __future__ import annotations

import re

from app.domain.errors import InvalidInput, Problem

_RUN_ID = re.compile(r"[A-Za-z0-9-]{1,64}")


def run_name(run_id: str) -> str:
    """Raises InvalidInput: it has other characters than a run ID."""
    if _RUN_ID.fullmatch(run_id) is None:
        raise InvalidInput(Problem("run_id", f"{run_id[:80]!r} is not a run ID", "use letters, digits and hyphens"))
    return run_id


def study_name(order_number: int) -> str:
    """Raises InvalidInput: it is negative."""
    if order_number < 0:
        raise InvalidInput(Problem("order_number", f"{order_number} is negative", "count orders from 0"))
    return str(order_number)


def file_name(number: int) -> str:
    """Of the study's instance with this number, counted from 1."""
    return f"{number:05d}.dcm"
