"""Two scripts, as somebody would write them who has to fill a test system: message by message and file by file.

Each sends all orders, then returns; every acknowledgement and every exit code has been looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hl7.client import MLLPClient

from app.domain.order import Order
from benchmarks.peers.archive import Archive
from benchmarks.peers.data_set import ct_data_set, write
from benchmarks.peers.message import with_python_hl7
from benchmarks.peers.sending import HOST, send_order, store_files


def plain_script(orders: Sequence[Order], mllp_port: int, archive: Archive, folder: Path) -> None:
    """Order after order: send its message, save its instance, and start a ``storescu`` for it."""
    path = folder / "instance.dcm"
    with MLLPClient(HOST, mllp_port) as client:
        for order in orders:
            send_order(client, with_python_hl7(order), order.control_id)
            write(ct_data_set(order), path)
            store_files(path, archive.aet, archive.port, archive.no_delay)


def smartest_script(orders: Sequence[Order], mllp_port: int, archive: Archive, folder: Path) -> None:
    """Send all messages and save all instances first, then one ``storescu`` for the whole folder."""
    with MLLPClient(HOST, mllp_port) as client:
        for order in orders:
            send_order(client, with_python_hl7(order), order.control_id)
            write(ct_data_set(order), folder / f"{order.number}.dcm")
    store_files(folder, archive.aet, archive.port, archive.no_delay)
