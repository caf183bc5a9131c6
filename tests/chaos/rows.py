"""What the database says of a run while it is under way; it may be away."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import NullPool, create_engine, text
from sqlalchemy.exc import DBAPIError

TERMINAL = ("COMPLETED", "COMPLETED_WITH_ERRORS", "FAILED", "CANCELLED")
ENDED_ORDERS = (
    "SELECT count(*) AS ended FROM simulation_orders WHERE run_id = :run AND state IN ('COMPLETED', 'FAILED')"
)
RETRIED = "SELECT count(*) AS retried FROM simulation_run_events WHERE run_id = :run AND kind = 'step.retried'"
OPEN_BREAKERS = "SELECT count(*) AS open FROM destinations WHERE state = 'OPEN'"
RUN = """
SELECT state, CAST(lease_fence AS varchar) AS fence, lease_until > CURRENT_TIMESTAMP AS held
FROM simulation_runs WHERE id = :run
"""


class RunRows:
    """Looks at one run's rows, each time over a connection of its own."""

    def __init__(self, url: str, run_id: str) -> None:
        self._engine = create_engine(url.replace("postgresql://", "postgresql+psycopg2://"), poolclass=NullPool)
        self._run_id = run_id

    def ended(self) -> int:
        """Orders that have ended; -1 when the database can't say."""
        row = self._look(ENDED_ORDERS)
        return -1 if row is None else int(row["ended"])

    def retried(self) -> int:
        """Steps that are to be tried again, each time that they are; -1 when the database can't say."""
        row = self._look(RETRIED)
        return -1 if row is None else int(row["retried"])

    def open_breakers(self) -> int:
        """Destinations that are away, as all workers see it; -1 when the database can't say."""
        row = self._look(OPEN_BREAKERS)
        return -1 if row is None else int(row["open"])

    def state(self) -> str:
        """Empty when the database can't say."""
        row = self._look(RUN)
        return "" if row is None else str(row["state"])

    def is_terminal(self) -> bool:
        return self.state() in TERMINAL

    def holder(self) -> str:
        """The fence of the producer whose lease runs; empty when there is none."""
        row = self._look(RUN)
        return str(row["fence"]) if row is not None and row["held"] else ""

    def is_abandoned(self) -> bool:
        """Whether it is for anybody to take over, as the database says."""
        row = self._look(RUN)
        return row is not None and row["state"] not in TERMINAL and not row["held"]

    def _look(self, statement: str) -> Mapping[str, Any] | None:
        try:
            with self._engine.connect() as connection:
                return connection.execute(text(statement), {"run": self._run_id}).mappings().one_or_none()
        except DBAPIError:
            return None
