"""Claiming, finishing and keeping up jobs, by their step executions' rows."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection

from app.adapters.database import job_claims, job_finishes, job_upkeep, job_withdrawal
from app.domain.work import Claim, ClaimRequest, JobFinish, JobReference, ParkedCount, Withdrawn


class SqlJobs:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def claim(self, requests: Sequence[ClaimRequest], worker: str, lease_seconds: float) -> list[Claim]:
        return job_claims.claim(self._connection, requests, worker, lease_seconds)

    def finish(self, finishes: Sequence[JobFinish]) -> list[bool]:
        return job_finishes.finish(self._connection, finishes)

    def renew(self, claims: Sequence[tuple[ClaimRequest, Claim]], lease_seconds: float) -> list[bool]:
        return job_claims.renew(self._connection, claims, lease_seconds)

    def give_up(self, claims: Sequence[tuple[ClaimRequest, Claim]]) -> None:
        job_claims.give_up(self._connection, claims)

    def outstanding(self, run_id: str) -> bool:
        return job_upkeep.outstanding(self._connection, run_id)

    def published(self, run_id: str) -> int:
        return job_upkeep.published(self._connection, run_id)

    def lost(self, run_id: str, ready_seconds: float, after: int, limit: int) -> tuple[list[JobReference], int | None]:
        return job_upkeep.lost(self._connection, run_id, ready_seconds, after, limit)

    def recover(self, run_id: str, step_indexes: Sequence[int] | None = None) -> int:
        return job_upkeep.recover(self._connection, run_id, step_indexes)

    def unfinished(self, run_id: str, order_number: int, step_index: int, epoch: int) -> JobReference | None:
        return job_upkeep.unfinished(self._connection, run_id, order_number, step_index, epoch)

    def parked(self, run_id: str) -> list[ParkedCount]:
        return job_upkeep.parked(self._connection, run_id)

    def release(self, run_id: str, waiting_for: str, limit: int, *, probe: bool = False) -> list[JobReference]:
        return job_upkeep.release(self._connection, run_id, waiting_for, limit, probe=probe)

    def withdraw(self, run_id: str, step_indexes: Sequence[int], limit: int) -> list[Withdrawn]:
        return job_withdrawal.withdraw(self._connection, run_id, step_indexes, limit)

    def set_aside(self, run_id: str, withdrawn: Sequence[Withdrawn], waiting_for: str, reason: str) -> None:
        job_withdrawal.set_aside(self._connection, run_id, withdrawn, waiting_for, reason)
