"""C-STORE over one association, of instances that are ready: to storescp as installed, and with TCP_NODELAY.

Everybody sends the same instances: ours from memory, ``storescu`` from a folder, pynetdicom as data sets that are read.
Counted is from the first arrival to the last one, so starting ``storescu`` and associating is left out.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from functools import partial
from io import BytesIO
from pathlib import Path

from pydicom import dcmread
from pydicom.dataset import Dataset

from app.adapters.senders.dimse import DimseStudySender
from app.dicom.part10 import write_part10
from app.dicom.study import generate_study
from app.domain.destination import DicomDestination
from app.domain.order import Pixels
from app.domain.study import EncodedInstance
from benchmarks.peers.archive import Archive, running_archives
from benchmarks.peers.orders import planned_orders
from benchmarks.peers.sending import HOST, PeerFailed, PynetdicomSender, store_files
from benchmarks.peers.turns import OURS, Contender
from benchmarks.stages.encode import SIZES

FEWEST = 5  # instances of a turn
PATIENCE = 600.0  # seconds for one turn


# Instances a second that are to be expected, so many make a turn of about a second: ours, storescu, pynetdicom.
EXPECTED: dict[tuple[Pixels, bool], tuple[int, int, int]] = {
    ("tiny", False): (2000, 15, 11),
    ("full", False): (500, 15, 11),
    ("tiny", True): (2000, 2000, 200),
    ("full", True): (500, 500, 100),
}


def contenders(stack: ExitStack, seconds: float) -> Iterator[Contender]:
    """The archives, the association of ours and all files end with ``stack``."""
    archives = stack.enter_context(running_archives())
    sender = stack.enter_context(closing(DimseStudySender()))
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="yeeter-stages-")))
    for (pixels, no_delay), expected in EXPECTED.items():
        archive = archives[no_delay]
        amounts = [max(FEWEST, round(each * seconds)) for each in expected]
        instances = _instances(max(amounts), pixels)
        files = write_files(instances[: amounts[1]], folder / f"{pixels}-{no_delay}")
        data_sets = [_read(instance) for instance in instances[: amounts[2]]]
        destination = DicomDestination(aet=archive.aet, host=HOST, port=archive.port)
        sends: dict[str, Callable[[], None]] = {
            OURS: partial(store_ours, sender, destination, instances[: amounts[0]]),
            "storescu": partial(store_files, files, archive.aet, archive.port, no_delay),
            "pynetdicom": partial(_with_pynetdicom, archive, data_sets),
        }
        for who, send in sends.items():
            yield Contender(f"C-STORE, {SIZES[pixels]}", archive.settings, who, partial(_measure, archive, send))


def _measure(archive: Archive, send: Callable[[], None]) -> float:
    archive.empty()
    send()
    return archive.arrivals_per_second()


def _instances(count: int, pixels: Pixels) -> list[EncodedInstance]:
    return [instance for order in planned_orders(count, pixels) for instance in generate_study(order)]


def write_files(instances: list[EncodedInstance], folder: Path) -> Path:
    """Part 10 files in a folder that does not exist yet."""
    folder.mkdir()
    for number, instance in enumerate(instances):
        (folder / f"{number}.dcm").write_bytes(write_part10(instance) + instance.data)
    return folder


def _read(instance: EncodedInstance) -> Dataset:
    return dcmread(BytesIO(write_part10(instance) + instance.data))


def store_ours(sender: DimseStudySender, destination: DicomDestination, instances: list[EncodedInstance]) -> None:
    """Over one association of ours. Raises PeerFailed: not everything was stored."""
    results = sender.store(destination, instances, time.monotonic() + PATIENCE)
    if not all(result.outcome == "stored" for result in results):
        raise PeerFailed(f"not everything was stored at {destination}")


def _with_pynetdicom(archive: Archive, data_sets: list[Dataset]) -> None:
    with PynetdicomSender(archive.aet, archive.port, archive.no_delay) as sender:
        for ds in data_sets:
            sender.store(ds)
