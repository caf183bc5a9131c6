"""Worker pools, workers and scaling decisions as the API, and the command line without one, tell them."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from app.api.views import View
from app.bootstrap import Bundle
from app.domain.errors import InvalidInput, Problem
from app.domain.scaling import Pin, PoolPolicy, ScalingKind
from app.ports import ScalingRecord, WorkerRow


class PinView(View):
    """A person's number, which goes before the load until it expires."""

    replicas: int
    until: datetime
    by: str


class DecisionView(View):
    """One look at a pool: what was found, and what followed."""

    id: int
    at: datetime
    pool: str
    kind: ScalingKind
    before: int = Field(description="workers that the pool was to have")
    after: int
    applied: bool = Field(description="false: the pool could not be resized, or its resizing was not heard of")
    wanted: int | None = Field(description="what the load alone asks for; null where it could not be measured")
    reason: str
    per_worker: float = Field(description="jobs a second that one worker is held to do")
    ready: int | None
    unacknowledged: int | None
    unpublished: int | None
    workers: int | None
    jobs_per_second: float | None
    cpu: float | None


class PoolView(View):
    name: str
    deployment: str
    queues: list[str]
    min: int
    max: int
    pin: PinView | None
    decision: DecisionView | None = Field(description="the last one; null where no autoscaler has looked yet")


class WorkerView(View):
    """A worker as it tells of itself every few seconds."""

    name: str
    queues: list[str]
    concurrency: int
    running: int = Field(description="jobs that it has")
    jobs_done: int
    jobs_per_second: float = Field(description="in the last half minute")
    cpu: float = Field(description="share of what it may use; 1 is all")
    draining: bool
    started_at: datetime
    seen_at: datetime


class WorkersView(View):
    pools: list[PoolView]
    workers: list[WorkerView]


COLUMNS = tuple(DecisionView.model_fields)


def decision_view(record: ScalingRecord) -> DecisionView:
    decision, load = record.decision, record.decision.load
    return DecisionView(
        id=record.id,
        at=decision.at,
        pool=decision.pool,
        kind=decision.kind,
        before=decision.before,
        after=decision.after,
        applied=record.applied,
        wanted=decision.wanted,
        reason=decision.reason,
        per_worker=round(decision.per_worker, 3),
        ready=load.ready if load else None,
        unacknowledged=load.unacknowledged if load else None,
        unpublished=load.unpublished if load else None,
        workers=load.workers if load else None,
        jobs_per_second=round(load.jobs_per_second, 3) if load else None,
        cpu=load.cpu if load else None,
    )


def workers_view(bundle: Bundle) -> WorkersView:
    """The pools that are configured, and every worker that is alive. Raises Unavailable, InvalidInput."""
    policies = bundle.pools
    with bundle.database.transaction() as work:
        now = work.scaling.now()
        pools = [
            _pool(policy, work.pins.get(policy.name), work.scaling.history(policy.name, 0.0)[-1:], now)
            for policy in policies
        ]
        workers = [_worker(row) for row in work.workers.alive()]
    return WorkersView(pools=pools, workers=workers)


def scale_pool(bundle: Bundle, name: str, replicas: int | None, seconds: float | None, by: str) -> PoolView:
    """Set a person's number, or take it back (None).

    A number takes effect at once on Kubernetes, and otherwise when the autoscaler looks at the pool; so does its end.

    Raises:
        InvalidInput: there is no such pool.
        Unavailable: the database is away, or the cluster does not let us; then the number is set all the same.
    """
    policy = next((policy for policy in bundle.pools if policy.name == name), None)
    if policy is None:
        names = ", ".join(policy.name for policy in bundle.pools)
        raise InvalidInput(Problem("pool", f"there is no pool {name!r}", f"the pools are {names}"))
    with bundle.database.transaction() as work:
        if replicas is None:
            work.pins.remove(name)
        else:
            work.pins.set(name, replicas, seconds or bundle.settings.autoscaler_pin_seconds, by)
    if replicas is not None:
        bundle.attend_now(policy)
    return next(pool for pool in workers_view(bundle).pools if pool.name == name)


def _pool(policy: PoolPolicy, pin: Pin | None, last: list[ScalingRecord], now: datetime) -> PoolView:
    return PoolView(
        name=policy.name,
        deployment=policy.deployment,
        queues=list(policy.queues),
        min=policy.min,
        max=policy.max,
        pin=PinView.model_validate(pin) if pin is not None and pin.until > now else None,
        decision=decision_view(last[0]) if last else None,
    )


def _worker(row: WorkerRow) -> WorkerView:
    beat = row.beat
    said = {name: getattr(beat, name) for name in WorkerView.model_fields if hasattr(beat, name)}
    return WorkerView(**said | {"queues": list(beat.queues)}, started_at=row.started_at, seen_at=row.seen_at)
