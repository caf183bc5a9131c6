"""A run of countable jobs over real services, and pools of real worker processes that do them."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections import Counter
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import Any, Self

from app.adapters.database import SqlDatabase
from app.bootstrap import bootstrap, prepare_database
from app.domain.run import Run
from app.runs.start import RunRequest, start_run
from app.settings import Settings
from tests.chaos.preloaded import ROOT, Child, Preloaded
from tests.scaling.steps import STEP_TYPES
from tests.services.kubernetes import Cluster
from tests.services.processes import Program, wait_until

PATIENCE = 240.0  # seconds, on a machine that is busy with other tests


class Site:
    """A context manager; its processes end with it."""

    def __init__(self, broker: str, management: str, database: str, preloaded: Preloaded, folder: Path) -> None:
        """``broker``, ``management``, ``database``: addresses."""
        self._broker = broker
        self._management = management
        self._preloaded = preloaded
        self._ends = ExitStack()
        self.folder = folder
        self.database_url = database
        self.queue = f"scaling.{folder.name}"
        self.done = folder / "done"
        self.run: Run | None = None

    def __enter__(self) -> Self:
        self.database = SqlDatabase(self.database_url)
        self._ends.callback(self.database.close)
        with bootstrap(self._settings()) as bundle:
            prepare_database(bundle)
            bundle.broker.declare([self.queue])
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.close()

    @property
    def environment(self) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "LANG": "C.UTF-8",
            "PYTHONPATH": str(ROOT),
            "PYTHONUNBUFFERED": "1",
            "DATABASE_URL": self.database_url,
            "RABBITMQ_URL": self._broker,
            "RABBITMQ_ORDER_QUEUE": self.queue,
            "YEETER_HOME": str(self.folder / "home"),
            "YEETER_STEP_TYPES": json.dumps(STEP_TYPES),
            "YEETER_RABBITMQ_MANAGEMENT_URL": self._management,
        }

    def start(self, log: str, module: str, *arguments: str, **environment: str) -> Child:
        child = self._preloaded.start(self.folder / f"{log}.log", self.environment | environment, module, *arguments)
        self._ends.callback(child.kill)
        return child

    def start_run(self, orders: int, seconds: float) -> Run:
        """Its orders are emitted by a producer of its own; each has one job, which takes so long."""
        count = {"type": "SCALING_COUNT", "parameters": {"file": str(self.done), "seconds": seconds}}
        document = {
            "name": "countable",
            "modalities": {"CT": 1},
            "study": {"preset": "single", "pixels": "tiny"},
            "steps": [{"type": "GENERATE_HL7", "queue_async": True}, count],
        }
        with bootstrap(self._settings()) as bundle:
            destinations = {kind: {"host": "127.0.0.1", "port": self._receiver(kind)} for kind in ("mllp", "dicom")}
            dicom = destinations["dicom"] | {"aet": "YEETER"}
            request = RunRequest(document, orders=orders, seed=1, hl7=destinations["mllp"], dicom=dicom)
            run = start_run(bundle.database, bundle.types, request, datetime.now().astimezone())
        self.run = run
        self.start("producer", "app.producer", run.id)
        return run

    def _receiver(self, kind: str) -> int:
        command = [sys.executable, "-m", "app.receivers", kind, "--port", "0"]
        receiver = self._ends.enter_context(Program(command, self.folder / f"{kind}.log", self.environment))
        return int(json.loads(receiver.wait_for_line(r"^\{.*\"port\".*\}$", 60).group())["port"])

    def wait_for_state(self, run: Run, *states: str) -> Run:
        def present() -> Run:
            with self.database.transaction() as work:
                return work.runs.get(run.id)

        wait_until(lambda: present().state in (*states, "FAILED"), PATIENCE, f"the run is {' or '.join(states)}")
        reached = present()
        assert reached.state in states, reached.reason
        return reached

    def times_done(self) -> Counter[int]:
        """How often each order's job had its effect."""
        return Counter(int(line.split()[0]) for line in self.done.read_text().splitlines())

    def _settings(self) -> Settings:
        return Settings(
            database_url=self.database_url,
            rabbitmq_url=self._broker,
            rabbitmq_order_queue=self.queue,
            home=self.folder / "home",
            step_types=list(STEP_TYPES),
        )


class Workload:
    """What a Deployment's controller does: so many worker processes as are wanted; SIGTERM for those that go."""

    def __init__(self, site: Site, cluster: Cluster, name: str) -> None:
        self._site = site
        self._deployment = cluster.deployments[name]
        self._lock = threading.Lock()
        self.running: list[Child] = []
        self.gone: list[Child] = []  # told to go
        cluster.on_change = lambda changed, replicas: self.fit(replicas) if changed == name else None
        self.fit(self._deployment.replicas)

    def fit(self, replicas: int) -> None:
        with self._lock:
            while len(self.running) < replicas:
                self.running.append(self._new())
            while len(self.running) > replicas:
                self._end(self.running.pop())
            self._deployment.present = replicas

    def roll_out(self) -> None:
        """Replace every worker by a new one, one after the other, as a rolling update with maxSurge 1 does."""
        for place in range(len(self.running)):
            new = self._new()
            wait_until(lambda new=new: "working" in new.output, PATIENCE, "the new worker is ready")  # type: ignore[misc]
            with self._lock:
                old, self.running[place] = self.running[place], new
                self._end(old)

    def drain_node(self) -> None:
        """All workers of the node are told to go at once; the same number comes up elsewhere."""
        with self._lock:
            old, self.running = self.running, [self._new() for _ in self.running]
            for child in old:
                self._end(child)

    def stop(self) -> list[int]:
        """End all of them; how every worker that ever was ended."""
        self.fit(0)
        return [child.wait(60) for child in self.gone]

    def _new(self) -> Child:
        return self._site.start("worker", "app.worker", "--queues", self._site.queue)

    def _end(self, child: Child) -> None:
        child.signal(signal.SIGTERM)
        self.gone.append(child)


def rows_of(decisions: Any) -> list[tuple[int, int]]:
    """The changes among decisions, oldest first."""
    made = [each.decision for each in reversed(decisions) if each.applied]
    return [(each.before, each.after) for each in made if each.before != each.after]
