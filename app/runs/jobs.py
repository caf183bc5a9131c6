"""Building a run's jobs: a message follows from run, template and order number, so anybody can make it anew."""

from __future__ import annotations

from collections.abc import Sequence

from app.domain.job import Job, SlipEntry, encode_job, job_id
from app.domain.order import Order
from app.domain.planning import OrderPlanner
from app.domain.run import Run
from app.domain.template import Template, step_queue
from app.domain.work import JobReference, OutboxEntry, OutboxMessage
from app.runs.traces import RunTrace

KEPT = 2_000  # orders, some 3 MB


class JobBuilder:
    """The orders of one run, and their jobs. Thread-safe.

    ``template`` is the run's own with every destination filled in: a job that is built anew goes to where they are now.
    ``trace`` is the run's, where there is tracing.
    """

    def __init__(self, run: Run, template: Template, order_queue: str, trace: RunTrace | None = None) -> None:
        self._run = run
        self._trace = trace
        self._planner = OrderPlanner(template, run.seed, run.run_key, run.base_time)
        self._slip = tuple(
            SlipEntry(
                index,
                step.type,
                step_queue(template, index, order_queue),
                step.parameters,
                step.timeout,
                step.retry.policy,
            )
            for index, step in enumerate(template.steps)
            if index > 0
        )
        dicom = template.destinations.dicom
        self._dicom = dicom.model_dump(mode="json") if dicom else {}
        self._template = {"id": run.template_id, "name": run.template_name, "version": run.template_version}
        self._kept: dict[int, Order] = {}  # by number, until their next message is made

    @property
    def has_jobs(self) -> bool:
        """Whether anything follows the acknowledgement of an order."""
        return bool(self._slip)

    def order(self, number: int) -> Order:
        """The order of this number, as it was planned."""
        return self._planner.order(number)

    def keep(self, order: Order) -> None:
        """This one's next message is about to be made: it need not be planned anew, if there is room for it.

        Those that came first are kept, as they are published first.
        """
        if len(self._kept) < KEPT:
            self._kept[order.number] = order

    def queue(self, step_index: int) -> str:
        """Where a job that begins with this step runs."""
        return self._slip[step_index - 1].queue

    def job(self, order: Order, step_index: int, epoch: int) -> Job:
        """The job of the order that begins with this step (1 and up)."""
        return Job(
            id=job_id(self._run.id, order.number, step_index, epoch),
            run_id=self._run.id,
            run_key=self._run.run_key,
            order_number=order.number,
            epoch=epoch,
            slip=self._slip[step_index - 1 :],
            patient_context=order.patient_context,
            order_context=order.order_context,
            dicom=self._dicom,
            template=self._template,
            traceparent="" if self._trace is None else self._trace.traceparent(order.number),
        )

    def entry(self, job: JobReference) -> OutboxEntry:
        """What has this job published."""
        return OutboxEntry(
            self._run.id, job.order_number, job.step_index, job.epoch, self.queue(job.step_index), starts=job.starts
        )

    def entries(self, jobs: Sequence[JobReference]) -> list[OutboxEntry]:
        """What has these published."""
        return [self.entry(job) for job in jobs]

    def body(self, message: OutboxMessage) -> bytes:
        """What a job says that is published now."""
        order = self._kept.pop(message.order_number, None) or self.order(message.order_number)
        return encode_job(self.job(order, message.step_index, message.epoch))
