"""What there is to look after, over all runs: the queues in use, and the jobs that wait without a message."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from app.domain.run import TERMINAL_RUN_STATES, Run, RunState
from app.domain.template import Template
from app.ports import DEAD_QUEUE, Database, RunQueries
from app.runs.start import template_of

MAX_RUNS = 500  # of each state


@dataclass(frozen=True, slots=True)
class ParkedJobs:
    """Jobs of one run that wait for the same thing."""

    run: Run
    waiting_for: str
    jobs: int


def active_runs(queries: RunQueries) -> Iterator[Run]:
    """Runs that have not ended, the newest first; at most 500 of each state."""
    for state in RunState:
        if state not in TERMINAL_RUN_STATES:
            yield from queries.runs(state=state, template=None, after=None, limit=MAX_RUNS).rows


def known_queues(database: Database, order_queue: str) -> dict[str, list[str]]:
    """The broker's queues that we know of, each with the templates and the runs (by key) that use it."""
    queues: dict[str, list[str]] = {order_queue: []}
    with database.transaction() as work:
        templates = work.templates.all()
    for row in templates:
        for queue in Template.model_validate(row.document).queues(order_queue):
            queues.setdefault(queue, []).append(row.name)
    for run in active_runs(database.queries):
        for queue in template_of(run).queues(order_queue):
            queues.setdefault(queue, []).append(run.run_key)
    return queues | {DEAD_QUEUE: []}


def parked_jobs(queries: RunQueries) -> list[ParkedJobs]:
    """What the jobs of runs that have not ended wait for."""
    return [
        ParkedJobs(run, parked.waiting_for, parked.jobs)
        for run in active_runs(queries)
        for parked in queries.parked(run.id)
    ]
