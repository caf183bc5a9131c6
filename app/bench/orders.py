"""``yeeter bench hl7``: the way of orders alone. One thread plans, renders and hands over; nothing is written."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from app.bootstrap import Bundle
from app.domain.errors import Unavailable
from app.domain.order import Order
from app.domain.planning import OrderPlanner
from app.domain.run import Run
from app.domain.template import Template
from app.hl7.orm import OrmRenderer
from app.ports import OrderOutcome, OrderSender, OutboundOrder
from app.runs.start import RunRequest, prepare_run, template_of
from app.util.latency import Latency

GROUP = 500  # orders that are planned before they are rendered, where each is timed alone
IN_FLIGHT_PER_CONNECTION = 32
SHOWN = ("p50", "p95", "p99", "max")
PATIENCE = 1.0  # seconds to wait for outcomes before looking again


@dataclass(frozen=True, slots=True)
class OrderFigures:
    """Rates a second: planning and rendering each by itself, ``messages_per_second`` for the whole way with its ACK."""

    messages: int
    accepted: int
    refused: int
    resent: int
    wall_seconds: float
    messages_per_second: float
    bytes_per_second: float
    planned_per_second: float
    rendered_per_second: float
    ack_seconds: dict[str, float]

    @property
    def problem(self) -> str:
        """Why the figures do not count; empty when they do."""
        return f"{self.refused} of {self.messages} messages were not accepted" if self.refused else ""

    def as_figures(self) -> dict[str, Any]:
        return {"problem": self.problem, **asdict(self)}

    def as_shown(self) -> dict[str, Any]:
        """What of it has room in a line."""
        latency = {f"ack_{name}_ms": round(self.ack_seconds[name] * 1000, 3) for name in SHOWN if self.ack_seconds}
        return {name: value for name, value in self.as_figures().items() if name != "ack_seconds"} | latency


def bench_orders(bundle: Bundle, request: RunRequest, connections: int) -> OrderFigures:
    """Send the orders of a request, whose receiver is filled in, over so many connections.

    Raises:
        InvalidInput, NotFound: the request is wrong.
        Unavailable: the receiver can't be reached.
    """
    now = datetime.now()  # noqa: DTZ005 - the department's local time
    run = prepare_run(bundle.database, bundle.types, request, now)
    template = template_of(run)
    assert template.destinations.hl7 is not None
    sender = bundle.open_sender(template.destinations.hl7.model_copy(update={"connections": connections}))
    with closing(sender):
        return OrderBench(run, template).measure(sender, connections)


class OrderBench:
    """The messages of a run that is not written: those that a launch of it would send."""

    def __init__(self, run: Run, template: Template) -> None:
        self._messages = run.requested
        self._planner = OrderPlanner(template, run.seed, run.run_key, run.base_time)
        self._renderer = OrmRenderer(template.hl7)

    def measure(self, sender: OrderSender, connections: int) -> OrderFigures:
        """Raises Unavailable: the receiver can't be reached."""
        planned, rendered = self._time_parts()
        began = time.perf_counter()
        sent = self._send(sender, connections * IN_FLIGHT_PER_CONNECTION)
        seconds = time.perf_counter() - began
        return OrderFigures(
            messages=self._messages,
            accepted=sent.verdicts["accepted"],
            refused=self._messages - sent.verdicts["accepted"],
            resent=sent.resent,
            wall_seconds=round(seconds, 3),
            messages_per_second=_rate(self._messages, seconds),
            bytes_per_second=_rate(sent.bytes, seconds),
            planned_per_second=_rate(self._messages, planned),
            rendered_per_second=_rate(self._messages, rendered),
            ack_seconds=sent.latency.summary(),
        )

    def _time_parts(self) -> tuple[float, float]:
        """Seconds for planning, and for rendering, all of them."""
        planned = rendered = 0.0
        for first in range(0, self._messages, GROUP):
            began = time.perf_counter()
            orders = [self._planner.order(number) for number in range(first, min(first + GROUP, self._messages))]
            between = time.perf_counter()
            for order in orders:
                self._renderer.render(order)
            planned += between - began
            rendered += time.perf_counter() - between
        return planned, rendered

    def _send(self, sender: OrderSender, window: int) -> _Sent:
        sent, in_flight = _Sent(), 0
        outbound = self._outbound()
        while sent.count < self._messages:
            while in_flight < window and (order := next(outbound, None)):
                sent.bytes += len(order.message)
                sender.submit(order)
                in_flight += 1
            for outcome in sender.completed(PATIENCE):
                sent.add(outcome)
                in_flight -= 1
        return sent

    def _outbound(self) -> Iterator[OutboundOrder]:
        for number in range(self._messages):
            order: Order = self._planner.order(number)
            message = self._renderer.render(order)
            yield OutboundOrder(number, order.control_id, order.patient.patient_id, message)


class _Sent:
    def __init__(self) -> None:
        self.verdicts: Counter[str] = Counter()
        self.resent = 0
        self.bytes = 0
        self.latency = Latency()

    @property
    def count(self) -> int:
        return self.verdicts.total()

    def add(self, outcome: OrderOutcome) -> None:
        if outcome.verdict == "unreachable":
            raise Unavailable(f"the receiver can't be reached: {outcome.reason}")
        self.verdicts[outcome.verdict] += 1
        self.resent += outcome.attempts - 1
        if outcome.code:
            self.latency.record(outcome.ack_seconds)


def _rate(count: int, seconds: float) -> float:
    return round(count / max(seconds, 1e-9), 1)
