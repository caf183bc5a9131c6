"""What measuring costs: the CPU time of an order with the figures of a run and its worker, and without.

.venv/bin/python -m benchmarks.measuring --orders 2000 --repeats 5

The same runs, embedded (SQLite, in-process queue, built-in receivers), in turns. With: the summary, the progress and
the course that are folded from the events, and the worker's counters and histograms. Without: stand-ins that keep only
what a run needs to end. Both write and read the same events. CPU is that of this process, where all of that happens.

On a busy machine two runs differ by more than what is looked for. So the time that folds and observers themselves take
is shown as well (by the clocks of their threads, which count nobody else's work), and its share of the whole.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from statistics import median

from app.bootstrap import Bundle, bootstrap, prepare_database
from app.domain.event import RecordedEvent
from app.domain.metrics import RunMetrics
from app.domain.run import Run, RunState
from app.domain.work import Claim, JobFinish
from app.ports import JobObserver
from app.producer.receivers import BuiltInReceiver
from app.runs.producing.produce import Producer
from app.runs.reading.folds import Folds
from app.runs.reading.progress import ProgressFold
from app.runs.start import RunRequest, start_run, template_of
from app.settings import load_settings
from app.util.logs import configure_logs
from app.worker.figures import WorkerFigures
from app.worker.metrics import WorkerMetrics

CONCURRENCY = 4  # jobs side by side


class ClockedFolds(Folds):
    """The figures, and the CPU seconds that they took."""

    spent = 0.0

    def apply(self, recorded: RecordedEvent) -> None:
        begun = time.thread_time()
        super().apply(recorded)
        self.spent += time.thread_time() - begun

    def metrics(self) -> RunMetrics:
        begun = time.thread_time()
        metrics = super().metrics()
        self.spent += time.thread_time() - begun
        return metrics


class ClockedObservers:
    """What a worker program tells of its jobs, and the CPU seconds that this took."""

    def __init__(self, *observers: JobObserver) -> None:
        self._observers = observers
        self.spent = 0.0

    def finished(self, claim: Claim, finish: JobFinish) -> None:
        begun = time.thread_time()
        for observer in self._observers:
            observer.finished(claim, finish)
        self.spent += time.thread_time() - begun


class WhatEndsARun(Folds):
    """The times of a run, and what became of its emission: no counts and no latencies."""

    def apply(self, recorded: RecordedEvent) -> None:
        self.summary.clock.apply(recorded)
        self.summary.load.apply(recorded)


@dataclass(frozen=True)
class Bench:
    """Runs of one request, one after the other."""

    bundle: Bundle
    request: RunRequest

    def cpu_ms_with(self) -> tuple[float, float]:
        """CPU milliseconds an order with everything that is measured of it, and those of the measuring itself."""
        folds = ClockedFolds(ProgressFold(self.request.orders or 0))
        observers = ClockedObservers(WorkerMetrics(self.bundle.types.names), WorkerFigures())
        used = self._cpu_ms(folds, observers)
        return used, (folds.spent + observers.spent) / (self.request.orders or 1) * 1000

    def cpu_ms_without(self) -> float:
        """The same work, with stand-ins."""
        return self._cpu_ms(WhatEndsARun(ProgressFold(self.request.orders or 0)))

    def _cpu_ms(self, folds: Folds, *observers: JobObserver) -> float:
        bundle = self.bundle
        run = start_run(bundle.database, bundle.types, self.request, datetime.now().astimezone())
        template = template_of(run)
        producer = Producer(bundle.producer_parts(), run, template)
        producer.folds = folds
        queues = template.queues(bundle.settings.rabbitmq_order_queue)
        begun = time.process_time()
        worker = bundle.worker(queues, CONCURRENCY, bundle.inline, observers)
        worker.start()
        try:
            ended = producer.produce()
        finally:
            worker.stop(grace=10.0)
        used = time.process_time() - begun
        _require_completed(ended)
        return used / run.requested * 1000


def _require_completed(run: Run) -> None:
    if run.state is not RunState.COMPLETED:
        raise SystemExit(f"run {run.run_key} ended {run.state}: {run.reason}")


@contextmanager
def bench(template: str, orders: int) -> Iterator[Bench]:
    """In a folder of its own, with receivers that last for all runs."""
    with (
        tempfile.TemporaryDirectory(prefix="yeeter-measuring-") as home,
        bootstrap(load_settings(home=Path(home), rabbitmq_url=None, database_url=None)) as bundle,
        BuiltInReceiver("mllp") as mllp,
        BuiltInReceiver("dicom") as dicom,
    ):
        prepare_database(bundle)
        here = f"127.0.0.1:{mllp.port}", f"YEETER@127.0.0.1:{dicom.port}"
        yield Bench(bundle, RunRequest(template, orders=orders, seed=1, hl7=here[0], dicom=here[1]))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.measuring", description=__doc__)
    parser.add_argument("--template", default="metadata-only")
    parser.add_argument("--orders", type=int, default=2000, help="of each run")
    parser.add_argument("--repeats", type=int, default=5, help="pairs of runs")
    options = parser.parse_args()
    configure_logs("warning", "console")
    rows: list[tuple[float, float, float]] = []
    print("          with  without  ratio   measuring  share   (CPU ms an order)")
    with bench(options.template, options.orders) as runs:
        runs.cpu_ms_with()  # the first one also pays for what is made once
        for turn in range(options.repeats):
            # Each kind goes first in every other pair: what a run leaves behind is the other's, too.
            if turn % 2:
                without, (used, measuring) = runs.cpu_ms_without(), runs.cpu_ms_with()
            else:
                (used, measuring), without = runs.cpu_ms_with(), runs.cpu_ms_without()
            rows.append((used, without, measuring))
            _show(str(turn + 1), used, without, used / without, measuring, measuring / used)
    used, without, measuring = (median(column) for column in zip(*rows, strict=True))
    ratio = median(row[0] / row[1] for row in rows)
    share = median(row[2] / row[0] for row in rows)
    _show("median", used, without, ratio, measuring, share)
    return 0


def _show(name: str, used: float, without: float, ratio: float, measuring: float, share: float) -> None:
    print(f"{name:<7}{used:7.3f}{without:9.3f}{ratio:7.3f}{measuring:12.3f}{share:7.1%}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
