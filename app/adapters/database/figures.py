"""The figures of runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, fields
from typing import Any, TypeVar

from sqlalchemy import Connection, Row, Select, Table, delete, insert, select

from app.adapters.database.tables import run_intervals, run_stages, run_workers, runs
from app.domain.metrics import Interval, RunMetrics, StageFigures, WorkerShare
from app.ports import WorkerShareRow

Figures = TypeVar("Figures", StageFigures, Interval, WorkerShare)


class SqlRunFigures:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def keep(self, run_id: str, epoch: int, metrics: RunMetrics) -> None:
        kept: tuple[tuple[Table, Sequence[Any]], ...] = (
            (run_stages, metrics.stages),
            (run_intervals, metrics.intervals),
            (run_workers, metrics.workers),
        )
        for table, figures in kept:
            self._connection.execute(delete(table).filter_by(run_id=run_id, epoch=epoch))
            rows = [{"run_id": run_id, "epoch": epoch} | asdict(each) for each in figures]
            if rows:
                self._connection.execute(insert(table), rows)

    def get(self, run_id: str, epoch: int) -> RunMetrics | None:
        metrics = RunMetrics(
            self._read(run_stages, StageFigures, run_id, epoch),
            self._read(run_intervals, Interval, run_id, epoch),
            self._read(run_workers, WorkerShare, run_id, epoch),
        )
        return metrics if metrics.stages or metrics.intervals or metrics.workers else None

    def _read(self, table: Table, kind: type[Figures], run_id: str, epoch: int) -> tuple[Figures, ...]:
        columns = [table.c[field.name] for field in fields(kind)]
        statement = select(*columns).filter_by(run_id=run_id, epoch=epoch)
        rows = self._connection.execute(statement).all()
        return tuple(kind(**row._mapping) for row in sorted(rows, key=lambda row: row[0]))  # not by the collation


def select_shares() -> Select[Any]:
    """What workers did of runs, in the runs' present epochs."""
    columns = [run_workers.c[field.name] for field in fields(WorkerShare)]
    of_run = (run_workers.c.run_id == runs.c.id) & (run_workers.c.epoch == runs.c.epoch)
    return select(runs.c.id, runs.c.run_key, runs.c.template_name, *columns).join(runs, of_run)


def to_share(row: Row[Any]) -> WorkerShareRow:
    share = WorkerShare(**{field.name: row._mapping[field.name] for field in fields(WorkerShare)})
    return WorkerShareRow(row.id, row.run_key, row.template_name, share)
