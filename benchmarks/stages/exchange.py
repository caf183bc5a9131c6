"""MLLP round trips to the built-in receiver, a program of its own; each acknowledgement is checked."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing
from functools import partial

from hl7.client import MLLPClient

from app.adapters.senders.mllp import MllpOrderSender
from app.domain.destination import Hl7Destination
from app.hl7.orm import OrmRenderer
from app.ports import OutboundOrder
from app.producer.receivers import BuiltInReceiver
from benchmarks.peers.orders import metadata_only, planned_orders
from benchmarks.peers.sending import HOST, PeerFailed, send_order
from benchmarks.peers.turns import OURS, Contender
from benchmarks.stages.measure import rate

MESSAGES = 500  # handed over at once
CONNECTIONS = (1, 8)
STAGE, AGAINST = "MLLP round trip", "built-in receiver"


def contenders(stack: ExitStack, seconds: float) -> Iterator[Contender]:
    """The receiver and all connections end with ``stack``."""
    port = stack.enter_context(BuiltInReceiver("mllp")).port
    messages = _messages()
    for connections in CONNECTIONS:
        destination = Hl7Destination(host=HOST, port=port, connections=connections)
        sender = stack.enter_context(closing(MllpOrderSender(destination)))
        who = f"{OURS}, {connections} connection{'s' if connections > 1 else ''}"
        yield Contender(STAGE, AGAINST, who, partial(rate, partial(_ours, sender, messages), seconds))
    client = stack.enter_context(MLLPClient(HOST, port))
    yield Contender(STAGE, AGAINST, "python-hl7", partial(rate, partial(_python_hl7, client, messages), seconds))


def _messages() -> list[OutboundOrder]:
    render = OrmRenderer(metadata_only().hl7).render
    return [
        OutboundOrder(order.number, order.control_id, order.patient.patient_id, render(order))
        for order in planned_orders(MESSAGES)
    ]


def _ours(sender: MllpOrderSender, messages: list[OutboundOrder]) -> int:
    for message in messages:
        sender.submit(message)
    open_ones = len(messages)
    while open_ones:
        for outcome in sender.completed(1.0):
            if outcome.verdict != "accepted":
                raise PeerFailed(f"order {outcome.number}: {outcome.verdict} {outcome.reason}")
            open_ones -= 1
    return len(messages)


def _python_hl7(client: MLLPClient, messages: list[OutboundOrder]) -> int:
    for message in messages:
        send_order(client, message.message, message.control_id)
    return len(messages)
