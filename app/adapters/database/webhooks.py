"""Ends of runs that are to be told: a row each, until it was told or given up."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, and_, delete, insert, or_, select, update

from app.adapters.database.clock import read_now
from app.adapters.database.tables import run_webhooks, runs
from app.domain.webhook import Webhook
from app.ports import DueWebhook

CLAIM_SECONDS = 30.0  # beyond an attempt's own time limit: finding the address, and writing what came of it
_c = run_webhooks.c


class SqlWebhooks:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, run_id: str, epoch: int, body: dict[str, Any], head_start: float) -> None:
        due_at = read_now(self._connection) + timedelta(seconds=head_start)
        row = {"run_id": run_id, "epoch": epoch, "body": body, "attempts": 0, "due_at": due_at}
        self._connection.execute(insert(run_webhooks), row)

    def take(self, run_id: str | None = None) -> DueWebhook | None:
        now = read_now(self._connection)
        is_due = _c.due_at <= now
        if run_id is not None:
            is_due = and_(_c.run_id == run_id, or_(is_due, _c.attempts == 0))
        row = self._connection.execute(
            select(run_webhooks, runs.c.document)
            .join(runs, runs.c.id == _c.run_id)
            .where(is_due)
            .order_by(_c.due_at)
            .limit(1)
            .with_for_update(of=run_webhooks, skip_locked=True)
        ).one_or_none()
        if row is None:
            return None
        webhook = Webhook.model_validate(row.document["webhook"])
        due = DueWebhook(row.run_id, row.epoch, row.attempts + 1, webhook, row.body)
        until = now + timedelta(seconds=webhook.timeout + CLAIM_SECONDS)
        of_epoch = and_(_c.run_id == due.run_id, _c.epoch == due.epoch)
        self._connection.execute(update(run_webhooks).where(of_epoch).values(attempts=due.attempt, due_at=until))
        return due

    def waiting(self, run_id: str) -> bool:
        return self._connection.execute(select(_c.epoch).where(_c.run_id == run_id)).first() is not None

    def postpone(self, due: DueWebhook, seconds: float) -> bool:
        due_at = read_now(self._connection) + timedelta(seconds=seconds)
        return bool(self._connection.execute(update(run_webhooks).where(_is(due)).values(due_at=due_at)).rowcount)

    def remove(self, due: DueWebhook) -> bool:
        return bool(self._connection.execute(delete(run_webhooks).where(_is(due))).rowcount)


def _is(due: DueWebhook) -> Any:
    """The row, as long as nobody has taken it since."""
    return and_(_c.run_id == due.run_id, _c.epoch == due.epoch, _c.attempts == due.attempt)
