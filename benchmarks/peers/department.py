"""The same work as a Celery task: one an order, on workers that keep their MLLP connection and their association.

It promises what Yeeter's queue does: a quorum queue, confirmed publishing, and an acknowledgement after the work.

celery --app benchmarks.peers.department worker --concurrency 2
"""

from __future__ import annotations

import os
from functools import cache
from typing import Any

from celery import Celery
from hl7.client import MLLPClient

from app.domain.order import Order
from benchmarks.peers.data_set import ct_data_set
from benchmarks.peers.message import with_hl7apy
from benchmarks.peers.sending import HOST, PynetdicomSender, send_order

BROKER_VARIABLE = "PEER_BROKER_URL"

department = Celery("department", broker=os.environ.get(BROKER_VARIABLE))
department.conf.update(
    task_default_queue="department",
    task_default_queue_type="quorum",
    task_default_exchange_type="topic",
    broker_transport_options={"confirm_publish": True},
    broker_connection_retry_on_startup=True,
    task_acks_late=True,
    task_ignore_result=True,
)


@department.task
def examine(
    contexts: tuple[dict[str, Any], dict[str, Any]], mllp_port: int, aet: str, port: int, no_delay: bool
) -> None:
    """Send the order of these contexts (patient's and order's), make its study, and store it; failures are logged."""
    examined = Order.from_context(*contexts)
    send_order(_receiver(mllp_port), with_hl7apy(examined), examined.control_id)
    _archive(aet, port, no_delay).store(ct_data_set(examined))


@cache
def _receiver(port: int) -> MLLPClient:
    return MLLPClient(HOST, port)


@cache
def _archive(aet: str, port: int, no_delay: bool) -> PynetdicomSender:
    return PynetdicomSender(aet, port, no_delay)
