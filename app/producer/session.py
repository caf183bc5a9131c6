"""A run's session: built-in receivers and local workers where the run needs them, around the producer itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from app.bootstrap import Bundle
from app.domain.destination import DicomDestination, Hl7Destination
from app.domain.job import INLINE_QUEUE
from app.domain.run import Run
from app.domain.template import Destinations, Template, step_queue
from app.producer.receivers import BuiltInReceiver
from app.runs.preflight import require_destinations
from app.runs.produce import Producer
from app.runs.start import template_of
from app.runs.summary import SummaryFold
from app.runs.work import Worker

LOCAL_CONCURRENCY = 4


def run_session(
    bundle: Bundle,
    run: Run,
    workers: int | None = None,
    watch: Callable[[SummaryFold], None] | None = None,
    connections: int | None = None,
) -> Run:
    """Run a PENDING run to its end; the run as it ended.

    ``workers`` is the number of jobs run side by side in this process, embedded only. ``watch`` gets the fold that the
    session follows the run's events with. ``connections`` is how many MLLP connections there are, whatever the
    destination says; for a built-in receiver nothing else can say it.

    Raises:
        InvalidInput: a destination is missing and no built-in receiver can stand in.
        Conflict: another producer runs it, or it has ended.
        Unavailable: a service is away.
    """
    with ExitStack() as stack:
        template = stack.enter_context(_with_destinations(bundle, template_of(run), connections))
        checks = stack.enter_context(_local_worker(bundle, template, workers))
        if not bundle.is_embedded:
            bundle.broker.declare(template.queues(bundle.settings.rabbitmq_order_queue))
        producer = Producer(bundle.producer_parts(), run, template, checks)
        if watch is not None:
            watch(producer.fold)
        return producer.produce()


@contextmanager
def _with_destinations(bundle: Bundle, template: Template, connections: int | None) -> Iterator[Template]:
    require_destinations(template, bundle.is_embedded)
    with ExitStack() as stack:
        hl7, dicom = template.destinations.hl7, template.destinations.dicom
        if hl7 is None:
            port = stack.enter_context(BuiltInReceiver("mllp")).port
            hl7 = Hl7Destination(host="127.0.0.1", port=port)
        if connections is not None:
            hl7 = hl7.model_copy(update={"connections": connections})
        if dicom is None:
            port = stack.enter_context(BuiltInReceiver("dicom")).port
            dicom = DicomDestination(aet="YEETER", host="127.0.0.1", port=port)
        yield template.model_copy(update={"destinations": Destinations(hl7=hl7, dicom=dicom)})


@contextmanager
def _local_worker(bundle: Bundle, template: Template, workers: int | None) -> Iterator[list[Callable[[], None]]]:
    """Embedded, this process works on all queues; elsewhere only on its inline steps. Yields the producer's checks."""
    queues: tuple[str, ...] = ()
    if any(step_queue(template, index, "") == INLINE_QUEUE for index in range(1, len(template.steps))):
        queues = (INLINE_QUEUE,)
    if bundle.is_embedded:
        queues += template.queues(bundle.settings.rabbitmq_order_queue)
    if not queues:
        yield []
        return
    worker: Worker = bundle.worker(queues, workers or LOCAL_CONCURRENCY, bundle.inline)
    worker.start()
    try:
        yield [worker.check]
    finally:
        worker.stop(grace=bundle.settings.worker_grace)
