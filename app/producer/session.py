"""A run's session: built-in receivers and local workers where the run needs them, around the producer itself."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from app.bootstrap import Bundle
from app.domain.destination import DicomDestination, Hl7Destination
from app.domain.job import INLINE_QUEUE
from app.domain.run import Run
from app.domain.template import Destinations, Template, step_queue
from app.producer.receivers import BuiltInReceiver
from app.runs.producing.lease import Lease
from app.runs.producing.preflight import require_destinations
from app.runs.producing.produce import Producer
from app.runs.start import template_of
from app.runs.working.work import Worker

LOCAL_CONCURRENCY = 4


def run_session(
    bundle: Bundle,
    run: Run,
    workers: int | None = None,
    watch: Callable[[Producer], None] | None = None,
    connections: int | None = None,
    leaving: threading.Event | None = None,
) -> Run:
    """Run a run to its end, from whatever state it is in, and tell its webhook; the run as it ended.

    ``workers`` is the number of jobs run side by side in this process, embedded only. ``watch`` gets the producer.
    ``connections`` is how many MLLP connections there are, whatever the destination says; for a built-in receiver
    nothing else can say it. ``leaving``: set from outside to have the run left to others.

    Raises:
        InvalidInput: a destination is missing and no built-in receiver can stand in.
        Conflict: another producer runs it, or it has ended.
        LeaseLost: another producer took it over.
        HandedOver: it was left to others, as was asked for.
        Unavailable: a service is away.
    """
    template = template_of(run)
    require_destinations(template, bundle.is_embedded)
    parts = bundle.producer_parts()
    with ExitStack() as stack:
        # First of all, and so released last: two producers must not start receivers on the same ledgers.
        lease = stack.enter_context(Lease(bundle.database, run.id, parts.lease_seconds, leaving))
        template = stack.enter_context(_with_destinations(bundle, run, template, connections))
        checks = stack.enter_context(_local_worker(bundle, template, workers))
        if not bundle.is_embedded:
            bundle.broker.declare(template.queues(bundle.settings.rabbitmq_order_queue))
        producer = Producer(parts, run, template, checks)
        if watch is not None:
            watch(producer)
        ended = producer.produce_under(lease)
    bundle.courier().tell_of(run.id, lease.leaving.is_set, producer.on_note)
    return ended


@contextmanager
def _with_destinations(bundle: Bundle, run: Run, template: Template, connections: int | None) -> Iterator[Template]:
    """The template with built-in receivers where it names none; what they have is kept as long as the run is."""
    folder = bundle.settings.run_folder(run.id)
    with ExitStack() as stack:
        hl7, dicom = template.destinations.hl7, template.destinations.dicom
        if hl7 is None:
            port = stack.enter_context(BuiltInReceiver("mllp", folder / "mllp.jsonl")).port
            hl7 = Hl7Destination(host="127.0.0.1", port=port)
        if connections is not None:
            hl7 = hl7.model_copy(update={"connections": connections})
        if dicom is None and len(template.steps) > 1:  # orders alone need no archive
            port = stack.enter_context(BuiltInReceiver("dicom", folder / "dicom.jsonl")).port
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
