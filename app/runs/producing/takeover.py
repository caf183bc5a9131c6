"""Taking a run over: what a producer that is gone has left is put in order before anything else is done with it."""

from __future__ import annotations

from functools import partial

import structlog

from app.domain.job import INLINE_QUEUE
from app.domain.run import Run, RunState
from app.domain.template import Template, step_queue
from app.ports import UnitOfWork
from app.runs.jobs import JobBuilder
from app.runs.parts import Parts
from app.runs.producing.lease import Lease
from app.runs.producing.outcomes import end_in_doubt

log = structlog.get_logger()

PAGE = 500  # unfinished orders whose jobs are looked at in one transaction


def take_over(parts: Parts, lease: Lease, builder: JobBuilder, template: Template, run: Run) -> None:
    """Before the run goes on: no claim of a dead process stands, and every job of its queue is in the outbox again.

    Embedded, queue and workers ended with their process; over a broker only the inline steps did (a second message for
    the other jobs does no harm). Orders whose outcome nobody knows end here, where they are not to be sent again.
    """
    inline = [index for index in range(1, len(template.steps)) if step_queue(template, index, "") == INLINE_QUEUE]
    if parts.is_embedded or inline:
        recovered = lease.write(lambda work: work.jobs.recover(run.id, None if parts.is_embedded else inline))
        log.info("queue rebuilt", run_id=run.id, recovered=recovered, jobs=_rebuild_queue(lease, builder))
    hl7 = template.destinations.hl7
    if run.state is RunState.CANCELLING or (hl7 is not None and hl7.on_unknown == "fail"):
        types = tuple(step.type for step in template.steps)
        lease.write(lambda work: end_in_doubt(work, run, types))


def _rebuild_queue(lease: Lease, builder: JobBuilder) -> int:
    """Put the jobs that nobody has a message for into the outbox; how many."""
    count, after = 0, -1
    while True:
        jobs, following = lease.write(partial(_rebuild_page, builder, lease.run_id, after))
        count += jobs
        if following is None:
            return count
        after = following


def _rebuild_page(builder: JobBuilder, run_id: str, after: int, work: UnitOfWork) -> tuple[int, int | None]:
    jobs, following = work.jobs.lost(run_id, 0.0, after, PAGE)
    work.outbox.put(builder.entries(jobs))
    return len(jobs), following
