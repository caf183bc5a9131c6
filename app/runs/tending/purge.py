"""Emptying a queue, and saying what becomes of the jobs whose messages are thrown away with it.

Messages first, then rows. A message is a hint: a job that is still READY when its message has gone is published anew by
its run's producer, so nothing is lost if this process ends in between. And one that a worker holds already finds its
row settled, and is acknowledged without work.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from app.domain.errors import Conflict, NotFound
from app.domain.job import Job, encode_job
from app.domain.run import OrderState, Run, RunState, StepState
from app.domain.template import step_queue
from app.domain.work import PURGED, Death, JobFinish, StepOutcome, Withdrawn
from app.ports import DEAD_QUEUE, Broker, Database, Tracing, UnitOfWork
from app.runs.jobs import JobBuilder
from app.runs.reading.overview import active_runs, known_queues
from app.runs.start import template_of
from app.runs.traces import RunTrace, run_trace

GROUP = 500


class Fate(StrEnum):
    """What becomes of the jobs: they wait to be released, are dead letters, or their orders are cancelled."""

    PARK = "park"
    DEAD_LETTER = "dead-letter"
    CANCEL = "cancel"


@dataclass(frozen=True, slots=True)
class Purge:
    """What was thrown away, and how many jobs of each run (by key) were settled.

    The two differ where messages were copies, or of jobs that had ended, or are held by workers.
    """

    messages: int
    jobs: dict[str, int]


def purge(database: Database, broker: Broker, order_queue: str, queue: str, fate: Fate) -> Purge:
    """Empty a queue; jobs that a worker has begun are finished by it.

    Raises:
        NotFound: no such queue is known.
        Conflict: it is the dead queue.
        Unavailable: broker or database is away; what was thrown away is published again then.
    """
    _check(database, order_queue, queue)
    messages = broker.purge(queue)
    jobs = {
        run.run_key: count
        for run in active_runs(database.queries)
        if (count := _settle(database, run, order_queue, queue, fate))
    }
    return Purge(messages, jobs)


def release(database: Database, order_queue: str, queue: str, tracing: Tracing | None = None) -> dict[str, int]:
    """Have the jobs published again that a purge of this queue had parked; how many of each run (by key).

    Raises NotFound and Conflict as :func:`purge` does.
    """
    _check(database, order_queue, queue)
    runs = active_runs(database.queries)
    jobs = {run.run_key: _release(database, run, order_queue, queue, run_trace(run, tracing)) for run in runs}
    return {run_key: count for run_key, count in jobs.items() if count}


def _check(database: Database, order_queue: str, queue: str) -> None:
    if queue == DEAD_QUEUE:
        raise Conflict(f"{queue} is emptied by every worker; nothing in it is lost, and nothing has to be purged")
    if queue not in known_queues(database, order_queue):
        raise NotFound(f"no template and no run that goes on uses a queue {queue!r}; `yeeter queues list` shows them")


def _settle(database: Database, run: Run, order_queue: str, queue: str, fate: Fate) -> int:
    if run.state is RunState.CANCELLING:  # its producer cancels what waits
        return 0
    template = template_of(run)
    builder = JobBuilder(run, template, order_queue)
    indexes = [index for index in range(1, len(template.steps)) if step_queue(template, index, order_queue) == queue]
    settled = 0
    while indexes:
        with database.transaction() as work:
            withdrawn = work.jobs.withdraw(run.id, indexes, GROUP)
            _decide(work, run, builder, withdrawn, queue, fate)
        settled += len(withdrawn)
        if not withdrawn:
            break
    return settled


def _decide(
    work: UnitOfWork, run: Run, builder: JobBuilder, withdrawn: Sequence[Withdrawn], queue: str, fate: Fate
) -> None:
    reason = f"queue {queue} was purged by an operator"
    if fate is Fate.PARK:
        work.jobs.set_aside(run.id, withdrawn, PURGED + queue, reason)
    else:
        work.jobs.finish([_end(builder, each, reason, fate) for each in withdrawn])


def _end(builder: JobBuilder, withdrawn: Withdrawn, reason: str, fate: Fate) -> JobFinish:
    reference = withdrawn.job
    job = builder.job(builder.order(reference.order_number), reference.step_index, reference.epoch)
    dies = fate is Fate.DEAD_LETTER
    return JobFinish(
        run_id=job.run_id,
        order_number=job.order_number,
        epoch=job.epoch,
        head=reference.step_index,
        fence=withdrawn.fence,
        starts=reference.starts,
        queue=job.queue,
        worker="",
        seconds=0.0,
        steps=_outcomes(job, reason if dies else ""),
        order_state=OrderState.FAILED if dies else OrderState.CANCELLED,
        reason=reason,
        death=Death("undeliverable", reason) if dies else None,
        body=encode_job(job).decode() if dies else "",
    )


def _outcomes(job: Job, failure: str) -> tuple[StepOutcome, ...]:
    """All steps are cancelled; with a ``failure``, the first one has failed."""
    outcomes = [StepOutcome(entry.index, entry.type, StepState.CANCELLED, 0.0) for entry in job.slip]
    if failure:
        outcomes[0] = StepOutcome(job.slip[0].index, job.slip[0].type, StepState.FAILED, 0.0, error=failure)
    return tuple(outcomes)


def _release(database: Database, run: Run, order_queue: str, queue: str, trace: RunTrace | None) -> int:
    builder = JobBuilder(run, template_of(run), order_queue, trace)
    released = 0
    while True:
        with database.transaction() as work:
            references = work.jobs.release(run.id, PURGED + queue, GROUP)
            work.outbox.put(builder.entries(references))
        if not references:
            return released
        released += len(references)
