"""ORM^O01 of about 40 fields, from an order that is planned: by CPU time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from app.domain.order import Order
from app.hl7.orm import OrmRenderer
from benchmarks.peers.message import with_hl7apy, with_python_hl7
from benchmarks.peers.orders import metadata_only, planned_orders
from benchmarks.peers.turns import OURS, Contender
from benchmarks.stages.measure import cpu_rate

ORDERS = 20  # few, as hl7apy takes a good part of a second for them


def contenders(seconds: float) -> Iterator[Contender]:
    orders = planned_orders(ORDERS)
    builders: dict[str, Callable[[Order], bytes]] = {
        OURS: OrmRenderer(metadata_only().hl7).render,
        "hl7apy": with_hl7apy,
        "python-hl7": with_python_hl7,
    }
    for who, build in builders.items():
        yield Contender("render ORM^O01", "CPU time", who, partial(cpu_rate, build, orders, seconds))
