"""C-STORE of 10 KB to Orthanc over four associations: what it takes from its fastest sender.

Each turn sends instances that Orthanc does not have, because it answers at once to one that it has. Orthanc leaves
Nagle's algorithm on; ours and ``storescu`` (by TCP_NODELAY=1) turn theirs off.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path
from typing import TypeVar

from app.adapters.senders.dimse import DimseStudySender
from app.dicom.study import generate_study
from app.domain.destination import DicomDestination
from app.domain.study import EncodedInstance
from benchmarks.peers.orders import planned_orders
from benchmarks.peers.sending import HOST, store_files
from benchmarks.peers.turns import OURS, Contender
from benchmarks.stages.store import store_ours, write_files
from tests.services.orthanc import Orthanc, running_orthanc

ASSOCIATIONS = 4
EXPECTED = 500  # instances a second

Share = TypeVar("Share")  # of the instances: what one association sends
STAGE, AGAINST = "C-STORE, 10 KB", f"Orthanc, as installed, {ASSOCIATIONS} associations"


def contenders(stack: ExitStack, seconds: float) -> Iterator[Contender]:
    """Orthanc and the associations of ours end with ``stack``."""
    server = stack.enter_context(running_orthanc())
    sender = stack.enter_context(closing(DimseStudySender()))
    count = ASSOCIATIONS * max(1, round(EXPECTED * seconds / ASSOCIATIONS))
    destination = DicomDestination(aet=server.aet, host=HOST, port=server.dicom_port, associations=ASSOCIATIONS)
    send = partial(store_ours, sender, destination)
    yield Contender(STAGE, AGAINST, OURS, lambda: _rate(send, _shares(count), count))
    yield Contender(STAGE, AGAINST, "storescu", partial(_with_storescu, server, count))


def _shares(count: int) -> list[list[EncodedInstance]]:
    """New instances, a list an association."""
    instances = [instance for order in planned_orders(count) for instance in generate_study(order)]
    return [instances[number::ASSOCIATIONS] for number in range(ASSOCIATIONS)]


def _with_storescu(server: Orthanc, count: int) -> float:
    with tempfile.TemporaryDirectory(prefix="yeeter-stages-") as folder:
        folders = [write_files(share, Path(folder) / str(number)) for number, share in enumerate(_shares(count))]
        return _rate(lambda each: store_files(each, server.aet, server.dicom_port, no_delay=True), folders, count)


def _rate(send: Callable[[Share], None], shares: list[Share], count: int) -> float:
    begun = time.perf_counter()
    with ThreadPoolExecutor(ASSOCIATIONS) as pool:
        list(pool.map(send, shares))
    return count / (time.perf_counter() - begun)
