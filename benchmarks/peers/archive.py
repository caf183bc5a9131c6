"""The archive that all send to: dcmtk's ``storescp --fork``, with Nagle's algorithm as installed or without it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.services.dcmtk import Storescp
from tests.services.processes import wait_until

ARRIVAL_SECONDS = 120.0
TICK = 0.004  # seconds: the times of files are no finer


def dcmtk_environment(no_delay: bool) -> dict[str, str]:
    """dcmtk leaves Nagle's algorithm on unless this variable says 1."""
    return {"TCP_NODELAY": "1" if no_delay else "0"}


class Archive(Storescp):
    """A process an association; ``no_delay``: TCP_NODELAY is set for it, and for who sends to it."""

    def __init__(self, folder: Path, no_delay: bool) -> None:
        super().__init__(folder, "--fork", environment=dcmtk_environment(no_delay))
        self.no_delay = no_delay

    @property
    def settings(self) -> str:
        """As a table names it: what is said of TCP_NODELAY holds for both sides, where they are dcmtk's or a peer's."""
        return f"storescp --fork, {'TCP_NODELAY=1' if self.no_delay else 'as installed'}"

    def count(self) -> int:
        """Instances it has, the last ones perhaps not whole yet."""
        with os.scandir(self.folder) as entries:
            return sum(1 for _ in entries)

    def arrivals_per_second(self) -> float:
        """From the first instance's arrival to the last one's: without the start of who sent them."""
        times = sorted(path.stat().st_mtime for path in self.folder.iterdir())
        return (len(times) - 1) / max(times[-1] - times[0], TICK)

    def await_count(self, instances: int) -> None:
        """Raises TimeoutError: they are not all there."""
        wait_until(lambda: self.count() >= instances, ARRIVAL_SECONDS, f"{instances} instances at {self.settings}")

    def empty(self) -> None:
        """Forget what has come, so that everybody's files get new names."""
        for path in self.folder.iterdir():
            path.unlink()


@contextmanager
def running_archives() -> Iterator[Mapping[bool, Archive]]:
    """One as installed and one with TCP_NODELAY, by ``no_delay``."""
    with ExitStack() as stack:
        archives = {}
        for no_delay in (False, True):
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="yeeter-archive-")))
            archives[no_delay] = stack.enter_context(Archive(folder, no_delay))
        yield archives
