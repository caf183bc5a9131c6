"""``yeeter bench`` against services that are started for it and end with it.

.venv/bin/python -m benchmarks --archive storescp matrix --orders 1000 --workers 1,2,4
.venv/bin/python -m benchmarks peers --orders 1000 --rounds 3
.venv/bin/python -m benchmarks stages --seconds 1 --rounds 5

The last two measure ours beside what others would use (``benchmarks.peers``). All services keep their files in memory
where there is room, unless TMPDIR names a folder: an archive's disk can cost more per instance than everything else.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from tests.services.dcmtk import Storescp
from tests.services.orthanc import running_orthanc
from tests.services.postgres import running_postgres
from tests.services.processes import Program, free_port
from tests.services.rabbitmq import running_rabbitmq

MEMORY = Path("/dev/shm")  # a file system in memory, on Linux
ROOM = 4 << 30  # bytes: 100,000 studies of 10 KB, and what a broker and a database keep of them
DELAY_MS = 20
LAUNCHING = ("matrix", "pipeline")  # suites that store studies


@contextmanager
def running_storescp() -> Iterator[Storescp]:
    """One process an association, as an archive would take several at once."""
    with tempfile.TemporaryDirectory(prefix="yeeter-storescp-") as folder, Storescp(Path(folder), "--fork") as server:
        yield server


@dataclass(frozen=True, slots=True)
class DelayedArchive:
    """As far as its address goes."""

    address: str


@contextmanager
def running_delayed_archive() -> Iterator[DelayedArchive]:
    """The built-in receiver, which lets each C-STORE wait before it answers: an archive that is far away, or slow."""
    port = free_port()
    options = ["--aet", "DELAYED", "--host", "127.0.0.1", "--port", str(port), "--delay-ms", str(DELAY_MS)]
    with tempfile.TemporaryDirectory(prefix="yeeter-delayed-") as folder:
        log = Path(folder) / "receiver.log"
        with Program([sys.executable, "-m", "app.receivers", "dicom", *options], log) as program:
            program.wait_for_line('"port"')
            yield DelayedArchive(f"DELAYED@127.0.0.1:{port}")


ARCHIVES = {"orthanc": running_orthanc, "storescp": running_storescp, "delayed": running_delayed_archive}
COMPARISONS = {"peers": "benchmarks.peers.whole_way", "stages": "benchmarks.stages.suite"}


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    made.add_argument("--archive", choices=[*ARCHIVES, "built-in"], default="orthanc", help="of matrix and pipeline")
    made.add_argument("suite", help="matrix, pipeline or hl7; peers or stages, which have options of their own")
    return made


def choose_folder() -> None:
    """Where this process and those that it starts make temporary files."""
    if "TMPDIR" not in os.environ and MEMORY.is_dir() and shutil.disk_usage(MEMORY).free >= ROOM:
        os.environ["TMPDIR"] = str(MEMORY)
    print(f"services keep their files in {tempfile.gettempdir()}", file=sys.stderr)


def main() -> int:
    choose_folder()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # services end with us, whoever ends us
    if sys.argv[1:2] and sys.argv[1] in COMPARISONS:
        return int(import_module(COMPARISONS[sys.argv[1]]).main(sys.argv[2:]))
    options, rest = parser().parse_known_args()
    with ExitStack() as stack:
        postgres = stack.enter_context(running_postgres())
        rabbitmq = stack.enter_context(running_rabbitmq(management=True))
        environment = {
            **os.environ,
            "DATABASE_URL": stack.enter_context(postgres.new_database()),
            "RABBITMQ_URL": rabbitmq.url(stack.enter_context(rabbitmq.new_virtual_host())),
        }
        archive = []
        if options.suite in LAUNCHING and options.archive in ARCHIVES:
            archive = ["--pacs", stack.enter_context(ARCHIVES[options.archive]()).address]
        command = [sys.executable, "yeeter_cli.py", "bench", options.suite, *archive, *rest]
        with subprocess.Popen(command, env=environment) as launching:
            try:
                return launching.wait()
            except KeyboardInterrupt:  # the child's, too: it ends its run and its programs, and needs the services
                launching.wait()
                raise
            except SystemExit:
                launching.terminate()
                launching.wait()
                raise


if __name__ == "__main__":
    sys.exit(main())
