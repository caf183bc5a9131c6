"""A sender under test, and orders for it."""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from app.adapters.archive.mllp_ledger import MllpOrderLedger
from app.adapters.senders.mllp import MllpOrderSender, policy_of
from app.domain.destination import Hl7Destination
from app.domain.study import ReceivedOrder
from app.ports import OrderOutcome, OutboundOrder

RUN_KEY = "7K3QX0AB"


def order(number: int = 1, lane: str = "patient", size: int = 0) -> OutboundOrder:
    control_id = f"{RUN_KEY}{number:05d}01"
    message = (
        rf"MSH|^~\&|YEETER|SIM|RIS|HOSPITAL|20260105080000||ORM^O01|{control_id}|T|2.3.1" + "\r"
        f"PID|1||{lane}||Doe^Jane\rORC|NW|{number}P\r"
        f"OBR|1|{number}P||CT|||||||||{'x' * size}|||||{RUN_KEY}{number:05d}\r"
    )
    return OutboundOrder(number, control_id, lane, message.encode())


@contextmanager
def sender_to(
    port: int, tls: ssl.SSLContext | None = None, resend_delay: float = 0.01, **destination: Any
) -> Iterator[MllpOrderSender]:
    """A sender to a port of this machine that tries again without much delay; over one connection unless told."""
    values = {"host": "127.0.0.1", "port": port, "ack_timeout": 5.0, "connections": 1, "tls": tls is not None}
    whom = Hl7Destination.model_validate(values | destination)
    policy = replace(policy_of(whom), resend_delay=resend_delay, connect_delay=0.01, probe_interval=0.05)
    sender = MllpOrderSender(whom, tls, policy)
    try:
        yield sender
    finally:
        sender.close()


def outcomes(sender: MllpOrderSender, count: int, seconds: float = 10.0) -> list[OrderOutcome]:
    """The next outcomes; fails when they do not come."""
    collected: list[OrderOutcome] = []
    end = time.monotonic() + seconds
    while len(collected) < count:
        assert time.monotonic() < end, f"{len(collected)} of {count} outcomes"
        collected += sender.completed(timeout=0.5)
    assert len(collected) == count
    return collected


def send(port: int, messages: list[OutboundOrder], connections: int = 1) -> dict[int, str]:
    """Send and wait; the verdict of each order."""
    with sender_to(port, connections=connections) as sender:
        for message in messages:
            sender.submit(message)
        return {outcome.number: outcome.verdict for outcome in outcomes(sender, len(messages), seconds=30.0)}


def ledger_of(port: int, prefix: str = RUN_KEY, time_limit: float = 5.0) -> list[ReceivedOrder]:
    """What a receiver on this machine says it has."""
    destination = Hl7Destination(host="127.0.0.1", port=port, connect_timeout=1.0)
    return list(MllpOrderLedger(time_limit=time_limit).received(destination, prefix))
