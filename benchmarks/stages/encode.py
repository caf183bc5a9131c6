"""A CT instance with its file's head, from an order that is planned, into memory: by CPU time.

Ours makes its pixels anew (a phantom with noise); the peer's are the same noise in every instance.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from io import BytesIO

from app.dicom.part10 import write_part10
from app.dicom.study import generate_study
from app.domain.order import Order, Pixels
from benchmarks.peers.data_set import ct_data_set, write
from benchmarks.peers.orders import planned_orders
from benchmarks.peers.turns import OURS, Contender
from benchmarks.stages.measure import cpu_rate

ORDERS = 20
SIZES: dict[Pixels, str] = {"tiny": "10 KB", "full": "CT slice, 512 KB"}


def contenders(seconds: float) -> Iterator[Contender]:
    for pixels, size in SIZES.items():
        orders = planned_orders(ORDERS, pixels)
        for who, encode in ((OURS, _ours), ("pydicom", _with_pydicom)):
            yield Contender(f"encode, {size}", "CPU time", who, partial(cpu_rate, encode, orders, seconds))


def _ours(order: Order) -> None:
    file = BytesIO()
    for instance in generate_study(order):
        file.write(write_part10(instance))
        file.write(instance.data)


def _with_pydicom(order: Order) -> None:
    write(ct_data_set(order), BytesIO())
