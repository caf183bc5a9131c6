"""The department of a chaos run: real services, each behind a proxy, and what programs need to know of them."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import yaml

from app.bootstrap import SHIPPED_TEMPLATES, bootstrap, prepare_database
from app.domain.run import Run
from app.runs.start import RunRequest, start_run
from app.settings import Settings
from tests.chaos.archives import new_archive
from tests.chaos.pace import Pace, StoreCount
from tests.chaos.plan import Plan
from tests.chaos.preloaded import ROOT
from tests.chaos.steps import STEP_TYPES
from tests.services.postgres import Postgres
from tests.services.processes import Program
from tests.services.proxy import Proxy
from tests.services.rabbitmq import RabbitMq

HEARTBEAT = 4  # seconds: the broker notices a frozen worker within two or three of these
LEASE_SECONDS = 3  # of a producer: how long a takeover takes
JOB_LEASE_SECONDS = 60
ACK_SECONDS = 600  # held orders (see pace.py) wait for their acknowledgement
YOUNG_QUEUE_SECONDS = 5.0  # RabbitMQ 3.10 can lose a queue when it is killed right after its declaration


class Department:
    """Broker and database are given and go on afterwards; archive and order receiver are the run's own."""

    def __init__(
        self,
        plan: Plan,
        rabbitmq: RabbitMq,
        postgres: Postgres,
        database: str,
        folder: Path,
        template: Mapping[str, Any] = MappingProxyType({}),
        settings: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """``database``: address of an empty database of ``postgres``.

        ``template``: what it says in other words than ``metadata-only``; ``settings``: further environment of programs.
        """
        self.plan = plan
        self._changes = template
        self._further = settings
        self.rabbitmq = rabbitmq
        self.postgres = postgres
        self.folder = folder
        self.database_url = database
        self.queue = f"chaos.{folder.name}"
        self.ledger = folder / "ledger.jsonl"
        self.pace = Pace()
        self.stores = StoreCount()
        self.archive = new_archive(plan.archive, folder / "archive")
        self.receiver: Program | None = None
        self._ends = ExitStack()
        self._queue_since = 0.0
        self.links: dict[str, Proxy] = {}

    @contextmanager
    def open(self) -> Iterator[Department]:
        """Everything runs and is reachable while the block runs."""
        with self._ends:
            self.archive.start()
            self._ends.callback(self.archive.stop)
            self.start_receiver()
            self._ends.callback(self.stop_receiver)
            for name, proxy in self._proxies().items():
                self.links[name] = self._ends.enter_context(proxy)
            yield self

    def _proxies(self) -> dict[str, Proxy]:
        return {
            "amqp": Proxy(self.rabbitmq.port),
            "postgres": Proxy(self.postgres.port),
            "dicom": Proxy(self.archive.port, self.stores.admit),
            "mllp": Proxy(self._receiver_port(), self.pace.admit),
        }

    # --- what can go away and come back ---

    def start_receiver(self) -> None:
        command = [sys.executable, "-m", "app.receivers", "mllp", "--port", "0", "--ledger", str(self.ledger)]
        self.receiver = Program(command, self.folder / "receiver.log", os.environ | {"PYTHONPATH": str(ROOT)})
        port = self._receiver_port()
        if "mllp" in self.links:
            self.links["mllp"].target = port

    def stop_receiver(self) -> None:
        if self.receiver is not None:
            self.receiver.kill()

    def start_archive(self) -> None:
        self.archive.start()
        self.links["dicom"].target = self.archive.port

    def _receiver_port(self) -> int:
        assert self.receiver is not None
        return int(json.loads(self.receiver.wait_for_line(r"^\{.*\"port\".*\}$", 60).group())["port"])

    def wait_for_settled_queue(self) -> None:
        """Killing the broker must not hit its own defect: it can lose a queue that is only just declared."""
        time.sleep(max(0.0, self._queue_since + YOUNG_QUEUE_SECONDS - time.monotonic()))

    # --- the run ---

    def start_run(self) -> Run:
        """Prepare database and queue, and write the run; nobody runs it yet."""
        with bootstrap(self._settings()) as bundle:
            prepare_database(bundle)
            bundle.broker.declare([self.queue])
            self._queue_since = time.monotonic()
            request = RunRequest(
                self._template(),
                orders=self.plan.orders,
                seed=self.plan.seed,
                hl7={"host": "127.0.0.1", "port": self.links["mllp"].port, "ack_timeout": ACK_SECONDS},
                dicom={"host": "127.0.0.1", "port": self.links["dicom"].port, "aet": self.archive.aet},
            )
            return start_run(bundle.database, bundle.types, request, datetime.now().astimezone())

    @property
    def environment(self) -> dict[str, str]:
        """Of every program of the run: its services are the proxies."""
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "LANG": "C.UTF-8",
            "PYTHONPATH": str(ROOT),
            "PYTHONUNBUFFERED": "1",
            "DATABASE_URL": _at_port(self.database_url, self.links["postgres"].port),
            "RABBITMQ_URL": f"{_at_port(self.rabbitmq.url(), self.links['amqp'].port)}?heartbeat={HEARTBEAT}",
            "RABBITMQ_ORDER_QUEUE": self.queue,
            "YEETER_HOME": str(self.folder / "home"),
            "YEETER_STEP_TYPES": json.dumps(STEP_TYPES),
            "YEETER_LEASE_SECONDS": str(LEASE_SECONDS),
            "YEETER_JOB_LEASE": str(JOB_LEASE_SECONDS),
            **self._further,
        }

    def _settings(self) -> Settings:
        return Settings(
            database_url=self.database_url,
            rabbitmq_url=self.rabbitmq.url(),
            rabbitmq_order_queue=self.queue,
            home=self.folder / "home",
            step_types=list(STEP_TYPES),
        )

    def _template(self) -> dict[str, Any]:
        """``metadata-only`` with the steps that strike, behind the order's emission."""
        document: dict[str, Any] = yaml.safe_load((SHIPPED_TEMPLATES / "metadata-only.yaml").read_text())
        struck = self.folder / "struck"
        struck.mkdir()
        striking = {
            "CHAOS_POISON": {"orders": list(self.plan.poisoned)},
            "CHAOS_FLAKY": {"orders": list(self.plan.flaky), "folder": str(struck)},
            "CHAOS_KILLER": {"orders": list(self.plan.killers)},
        }
        steps = [{"type": type_, "parameters": given} for type_, given in striking.items() if given["orders"]]
        document["steps"][1:1] = steps
        return document | self._changes


def _at_port(url: str, port: int) -> str:
    parts = urlsplit(url)
    user, _, _ = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=f"{user}@127.0.0.1:{port}"))
