"""Looking after worker pools: measure, decide, write the decision down, and only then act on it.

Written down first, so that an autoscaler that dies in between leaves no number that nobody has decided: whatever number
of workers is found that no decision accounts for is a person's (``kubectl scale``), and becomes a pin.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import structlog

from app.domain.errors import Conflict, Unavailable, YeeterError
from app.domain.scaling import Pin, PoolLoad, PoolPolicy, ScalingDecision, ScalingKind, decide
from app.domain.template import DEFAULT_QUEUE
from app.ports import Database, Leadership, QueueMeter, ScalingRecord, SeenPool, UnitOfWork, WorkerPools

log = structlog.get_logger()

BY_HAND = "somebody who scaled it by hand"
KEEP_DAYS = 7.0  # that decisions are kept


@dataclass(frozen=True, slots=True)
class ScalingParts:
    """``order_queue``: what ``default`` stands for; ``pin_seconds``: how long a number that is found counts."""

    database: Database
    meter: QueueMeter
    pools: WorkerPools
    order_queue: str
    pin_seconds: float

    def queues(self, policy: PoolPolicy) -> tuple[str, ...]:
        return tuple(self.order_queue if queue == DEFAULT_QUEUE else queue for queue in policy.queues)


class PoolKeeper:
    """Looks after one pool."""

    def __init__(self, parts: ScalingParts, policy: PoolPolicy) -> None:
        self._parts = parts
        self.policy = policy

    def attend(self, *, measure: bool = True) -> ScalingDecision:
        """One look, and what follows from it.

        Args:
            measure: whether to ask for the load, too; without it there is only a person's number to go by.

        Raises:
            Unavailable, NotFound: the pool or the database could not be asked, or the pool not be resized.
        """
        before = self._newest()
        seen = self._parts.pools.look(self.policy)
        load = self._measure() if measure else "out of turn, because of a person's number"
        with self._parts.database.transaction() as work:
            records = work.scaling.history(self.policy.name, self.policy.scale_in_after)
            records = [record for record in records if record.identity == seen.identity]
            # What was decided after the look accounts for what it saw, whatever that was.
            is_late = bool(records) and records[-1].id > before
            pin = work.pins.get(self.policy.name) if is_late else self._pin(work, seen, records)
            history = [record.decision for record in records]
            decision = decide(self.policy, work.scaling.now(), seen.size, load, history, pin)
            to_do = decision.after != decision.before
            id_ = work.scaling.add(decision, seen.identity, applied=not to_do)
            work.scaling.prune(KEEP_DAYS)
        return self._act(seen, decision, id_) if to_do else decision

    def _act(self, seen: SeenPool, decision: ScalingDecision, id_: int) -> ScalingDecision:
        try:
            self._parts.pools.resize(self.policy, seen, decision.after)
        except Conflict as error:  # somebody else was faster: the next look sees what they did
            log.warning("pool not resized", pool=self.policy.name, wanted=decision.after, reason=str(error))
            return replace(decision, kind=ScalingKind.HELD, after=decision.before, reason=str(error))
        log.info(
            "pool resized", pool=self.policy.name, before=decision.before, after=decision.after, why=decision.reason
        )
        with self._parts.database.transaction() as work:
            work.scaling.mark_applied(id_)
        return decision

    def _newest(self) -> int:
        """The id of the last decision; 0 where there is none."""
        with self._parts.database.transaction() as work:
            return max((record.id for record in work.scaling.history(self.policy.name, 0.0)), default=0)

    def _measure(self) -> PoolLoad | str:
        """The load, or why there is none."""
        queues = self._parts.queues(self.policy)
        try:
            loads = self._parts.meter.measure(queues)
            with self._parts.database.transaction() as work:
                unpublished = work.outbox.due(queues)
                alive = [row.beat for row in work.workers.alive()]
        except Unavailable as error:
            return str(error)
        beats = [beat for beat in alive if set(beat.queues) & set(queues) and not beat.draining]
        return PoolLoad(
            ready=sum(load.ready for load in loads.values()),
            unacknowledged=sum(load.unacknowledged for load in loads.values()),
            unpublished=unpublished,
            workers=len(beats),
            jobs_per_second=sum(beat.jobs_per_second for beat in beats),
            cpu=sum(beat.cpu for beat in beats) / len(beats) if beats else None,
        )

    def _pin(self, work: UnitOfWork, seen: SeenPool, records: Sequence[ScalingRecord]) -> Pin | None:
        """What a person wants; a number that no decision accounts for is put down as that."""
        now, found = work.scaling.now(), seen.size.replicas
        pin = work.pins.get(self.policy.name)
        if pin is not None and pin.until <= now:
            work.pins.remove(self.policy.name)
            pin = None
        if not records or (pin is not None and pin.replicas == found):
            return pin
        last = records[-1]
        ours = {last.decision.after} if last.applied else {last.decision.before, last.decision.after}
        if found in ours:
            return pin
        log.warning("somebody else has scaled the pool", pool=self.policy.name, replicas=found)
        return work.pins.set(self.policy.name, found, self._parts.pin_seconds, BY_HAND)


class Autoscaler:
    """Looks after all pools, while it is the one that leads."""

    def __init__(self, keepers: Sequence[PoolKeeper], leadership: Leadership) -> None:
        self._keepers = keepers
        self._leadership = leadership
        self.leads = False

    def tick(self) -> tuple[list[ScalingDecision], list[str]]:
        """One round: the decisions, and what could not be done. Nothing of either while another one leads."""
        try:
            self.leads = self._leadership.hold()
        except YeeterError as error:
            self.leads = False
            return [], [f"leadership: {error}"]
        decisions: list[ScalingDecision] = []
        errors: list[str] = []
        for keeper in self._keepers if self.leads else ():
            try:
                decisions.append(keeper.attend())
            except YeeterError as error:
                errors.append(f"pool {keeper.policy.name}: {error}")
        return decisions, errors

    def stop(self) -> None:
        if self.leads:
            self._leadership.release()
