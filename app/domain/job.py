"""The job: the consecutive queued steps of one order that share a queue, carried by one message.

The message is CloudEvents 1.0 structured JSON, type ``io.yeeter.job.v1``. It is a hint, the rows are the truth: a
worker claims the rows before it does anything.
"""

from __future__ import annotations

import json
from dataclasses import field, replace
from functools import lru_cache
from typing import Any
from uuid import UUID

from app.domain import fast_json
from app.domain.records import record
from app.domain.retry import RetryPolicy
from app.domain.trace import parse_traceparent

JOB_TYPE = "io.yeeter.job.v1"
INLINE_QUEUE = "inline"  # run by the producer's own process, never on the broker
_MAX_INTEGER = 2**31 - 1
_NUMBERS = frozenset((int, float, bool))  # what a number, or what passes for one, is read as
_JSON = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
_checked_uuid = lru_cache(maxsize=256)(UUID)  # the jobs of a run share its ID


@record(frozen=True, slots=True)
class SlipEntry:
    """One step on the routing slip."""

    index: int  # position in the template's steps
    type: str
    queue: str
    parameters: dict[str, Any]
    timeout: float  # seconds
    retry: RetryPolicy = field(default_factory=RetryPolicy)


@record(frozen=True, slots=True)
class Job:
    """``slip[0]`` is the first step of this job; steps that name another queue become a job there."""

    id: str
    run_id: str
    run_key: str
    order_number: int
    epoch: int
    slip: tuple[SlipEntry, ...]
    patient_context: dict[str, Any]
    order_context: dict[str, Any]
    dicom: dict[str, Any]  # a DicomDestination's values
    template: dict[str, Any]  # id, name, version
    traceparent: str = ""  # W3C trace context of its order; empty: it is not traced

    @property
    def queue(self) -> str:
        return self.slip[0].queue

    @property
    def own_steps(self) -> tuple[SlipEntry, ...]:
        """The steps of this job: the leading run of the slip on one queue."""
        queue = self.queue
        for position, entry in enumerate(self.slip):
            if entry.queue != queue:
                return self.slip[:position]
        return self.slip

    def continued_at(self, position: int) -> Job:
        """The job for the slip from ``position`` on (0 <= position < len(slip)); at 0 it is this one again."""
        slip = self.slip[position:]
        return replace(self, id=job_id(self.run_id, self.order_number, slip[0].index, self.epoch), slip=slip)


def job_id(run_id: str, order_number: int, step_index: int, epoch: int) -> str:
    """Deterministic, so that a job that is published twice is the same job."""
    return f"{run_id}-{order_number}-{step_index}-{epoch}"


def encode_job(job: Job, source: str = "/yeeter") -> bytes:
    """The job as a CloudEvents 1.0 JSON document (structured mode)."""
    document: dict[str, Any] = {
        "specversion": "1.0",
        "type": JOB_TYPE,
        "id": job.id,
        "source": source,
        "subject": f"{job.run_id}/{job.order_number}",
        "datacontenttype": "application/json",
        "data": {
            "run_id": job.run_id,
            "run_key": job.run_key,
            "order_number": job.order_number,
            "epoch": job.epoch,
            "routing_slip": [_slip_document(entry) for entry in job.slip],
            "patient_context": job.patient_context,
            "order_context": job.order_context,
            "dicom": job.dicom,
            "template": job.template,
        },
    }
    if job.traceparent:
        document["traceparent"] = job.traceparent  # the distributed tracing extension of CloudEvents
    try:
        return fast_json.dumps(document)
    except TypeError:
        return _JSON.encode(document).encode()


def _slip_document(entry: SlipEntry) -> dict[str, Any]:
    retry = entry.retry
    return {
        "index": entry.index,
        "type": entry.type,
        "queue": entry.queue,
        "parameters": entry.parameters,
        "timeout": entry.timeout,
        "retry": {
            "max_attempts": retry.max_attempts,
            "first_delay": retry.first_delay,
            "factor": retry.factor,
            "cap": retry.cap,
            "patience": retry.patience,
        },
    }


def decode_job(body: bytes) -> Job:
    """The job that a message carries.

    Raises:
        ValueError: the body is not a job of this version; the text says what is wrong.
    """
    try:
        document = fast_json.loads(body)
        if document["specversion"] != "1.0" or document["type"] != JOB_TYPE:
            raise ValueError(f"not a {JOB_TYPE}: {document['type']!r}")
        data = document["data"]
        slip = tuple(_slip_entry(entry) for entry in data.pop("routing_slip"))
        if not slip:
            raise ValueError("the routing slip is empty")
        traceparent = str(document.get("traceparent", ""))
        traceparent = traceparent if parse_traceparent(traceparent) else ""  # an invalid one is none, by its standard
        job = Job(id=document["id"], slip=slip, traceparent=traceparent, **data)
        _check_key(job)
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"not a job message: {error!r}") from error
    return job


def _slip_entry(document: dict[str, Any]) -> SlipEntry:
    retry = document.get("retry", {})
    entry = SlipEntry(**document | {"retry": RetryPolicy(**retry)})
    numbers = (entry.timeout, *retry.values())
    if not (
        isinstance(entry.type, str)
        and isinstance(entry.queue, str)
        and isinstance(entry.parameters, dict)
        and _NUMBERS.issuperset(map(type, numbers))
    ):
        raise ValueError(f"an entry of the routing slip is not what it should be: {document!r:.200}")
    return entry


def _check_key(job: Job) -> None:
    """Raises when these can't name rows: a database would refuse the whole group of jobs that one of them is in."""
    _checked_uuid(job.run_id)
    numbers = (job.order_number, job.epoch, *(entry.index for entry in job.slip))
    if not all(type(number) is int and 0 <= number <= _MAX_INTEGER for number in numbers):
        raise ValueError("an order number, epoch or step index is not a number of a row")
