"""docs/operations.md: each of its commands is run here, on real parts, and does what the page says."""

from __future__ import annotations

import json
import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.end_to_end.conftest import ROOT, Yeeter, start_receiver
from tests.services.postgres import Postgres
from tests.services.processes import Program, free_port, wait_until
from tests.services.rabbitmq import RabbitMq
from tests.steps.picky import REGISTERED, picky_template

PAGE = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
SMALL = ("--set", "study.preset=single", "--set", "study.pixels=tiny")
PATIENCE = 120.0  # seconds for what takes a few
pytestmark = pytest.mark.timeout(
    900
)  # a dozen programs start one after the other; each takes seconds on a busy machine


def commands(section: str) -> list[str]:
    """The shell commands of one section of the page."""
    text = re.split(r"^## ", PAGE, flags=re.M)
    (body,) = [part for part in text if part.startswith(f"{section}\n")]
    return [line for block in re.findall(r"```sh\n(.*?)```", body, re.S) for line in block.splitlines()]


def test_every_command_of_the_page_is_run_here() -> None:
    sections = re.findall(r"^## (.*)$", PAGE, re.M)
    assert {section: count for section in sections if (count := len(commands(section)))} == {
        "Look first": 5,
        "A run that does not get on": 5,
        "Replaying dead letters": 6,
        "Clearing a queue": 4,
        "Draining workers": 1,
        "Scaling workers": 4,
        "Pausing a run": 3,
        "An archive that is away": 2,
        "A run that was interrupted": 1,
        "Keeping the database small": 2,
        "Restarting RabbitMQ or PostgreSQL": 2,
    }


class Shell:
    """Runs the page's commands as they stand there, with these variables."""

    def __init__(self, yeeter: Yeeter, folder: Path, **variables: str) -> None:
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        self.environment = yeeter.environment | variables | {"PATH": path}
        self._folder = folder

    def __call__(self, command: str, code: int = 0) -> str:
        """What the command writes to its stdout."""
        done = subprocess.run(
            ["bash", "-o", "pipefail", "-c", command],
            cwd=self._folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        assert done.returncode == code, f"{command}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def json(self, command: str) -> Any:
        return json.loads(self(f"{command} --json"))


# --- embedded ---


def test_replaying_dead_letters(tmp_path: Path) -> None:
    yeeter = Yeeter(tmp_path, YEETER_STEP_TYPES=REGISTERED, PYTHONPATH=str(ROOT))
    refused, template = tmp_path / "refused.json", tmp_path / "picky.json"
    refused.write_text(json.dumps({"1": "permanent", "2": "temporary", "3": "defect"}))
    template.write_text(json.dumps(picky_template(refused, orders=6)))
    yeeter("run", str(template), "--run-key", "0PERAT10", code=99)
    (exhausted,) = yeeter.json("dead-letters", "list", "--kind", "exhausted")

    refused.write_text(json.dumps({"3": "defect"}))
    shell = Shell(yeeter, tmp_path, RUN="0PERAT10", LETTER=str(exhausted["id"]))
    list_, show, retry_kind, retry_one, resume, discard = commands("Replaying dead letters")
    assert len(shell.json(list_)) == 3
    assert "attempt 2 of 2" in shell(show)
    assert shell.json(retry_kind)["jobs"] == shell.json(retry_one)["jobs"] == 1
    assert "orders.failed == 0  is 1" in shell(resume, code=99)
    assert shell.json(discard) == {"letters": 1, "refused": []}
    summary = yeeter.json("runs", "metrics", "0PERAT10")
    assert (summary["epoch"], summary["orders"]["completed"], summary["reconciliation"]["missing"]) == (1, 5, 0)

    # The same run, a month later.
    with closing(sqlite3.connect(tmp_path / ".yeeter" / "yeeter.db")) as database, database:
        database.execute("UPDATE simulation_runs SET finished_at = '2026-01-05 08:30:00.000000'")
    look, prune = commands("Keeping the database small")
    assert shell.json(look)["runs"] == []  # it is among the newest 100
    assert [run["run_key"] for run in shell.json(prune)["runs"]] == ["0PERAT10"]
    assert shell.json("yeeter runs list") == []


def test_a_run_that_was_interrupted(tmp_path: Path, programs: ExitStack) -> None:
    yeeter = Yeeter(tmp_path, YEETER_LEASE_SECONDS="2", YEETER_HOME=str(tmp_path / "home"))
    run = ("run", "metadata-only", "--orders", "150", "--rate", "30", "--run-key", "0PERAT11")
    interrupted = programs.enter_context(yeeter.start(tmp_path / "run.log", *run))
    interrupted.wait_for_line(r" [1-9]\d* sent, ", PATIENCE)
    interrupted.kill()

    shell = Shell(yeeter, tmp_path, RUN="0PERAT11")
    (resume,) = commands("A run that was interrupted")
    summary = shell.json(resume)
    assert (summary["status"], summary["verdict"]) == ("COMPLETED", "pass")
    assert summary["orders"]["completed"] == summary["reconciliation"]["checked"] == 150


def test_an_archive_that_is_away(tmp_path: Path, programs: ExitStack) -> None:
    yeeter = Yeeter(tmp_path, YEETER_HOME=str(tmp_path / "home"))
    port = free_port()
    pacs = f"YEETER@127.0.0.1:{port}"
    receive = ("receive", "dicom", "--port", str(port), "--ledger", str(tmp_path / "ledger.jsonl"))
    archive = programs.enter_context(yeeter.start(tmp_path / "archive.log", *receive))
    archive.wait_for_line(r"\"port\"", PATIENCE)
    run = ("run", "metadata-only", "--orders", "150", "--rate", "4", "--pacs", pacs, "--run-key", "0PERAT12")
    running = programs.enter_context(yeeter.start(tmp_path / "run.log", *run))
    running.wait_for_line(r" [1-9]\d* done", PATIENCE)
    archive.kill()

    shell = Shell(yeeter, tmp_path, RUN="0PERAT12", PACS=pacs)
    list_, doctor = commands("An archive that is away")
    wait_until(lambda: "OPEN" in shell(list_), PATIENCE, "the breaker to open")
    assert f"dicom:{pacs} is away" in shell(doctor, code=1)
    show, notes, waiting, metrics, _ = commands("A run that does not get on")
    assert "0PERAT12" in shell(show)
    wait_until(lambda: f"the archive {pacs} does not answer" in shell(notes), PATIENCE, "a note")
    assert "WAITING" in shell(waiting)
    assert "orders" in shell(metrics)

    again = programs.enter_context(yeeter.start(tmp_path / "archive-again.log", *receive))
    again.wait_for_line(r"\"port\"", PATIENCE)
    assert running.wait(PATIENCE) == 0, running.output
    assert "CLOSED" in shell(list_)
    assert yeeter.json("dead-letters", "list") == []


# --- on RabbitMQ and PostgreSQL ---


class Site:
    """A server, its receivers, and a shell whose commands ask that server."""

    def __init__(self, yeeter: Yeeter, programs: ExitStack, folder: Path) -> None:
        self._yeeter = yeeter
        self._programs = programs
        self._folder = folder
        yeeter("db", "upgrade")
        self._hl7 = f"127.0.0.1:{start_receiver(programs, folder, 'mllp')}"
        self._pacs = f"YEETER@127.0.0.1:{start_receiver(programs, folder, 'dicom')}"
        server = programs.enter_context(yeeter.start(folder / "server.log", "serve", "--port", "0"))
        url = server.wait_for_line(r"serving\s.*(http://\S+)", PATIENCE)[1]
        self.http = programs.enter_context(httpx.Client(base_url=url, timeout=60))
        self.shell = Shell(yeeter, folder, YEETER_SERVER=url)

    def start_run(self, run_key: str, orders: int) -> None:
        where = ("--hl7", self._hl7, "--pacs", self._pacs, "--server", str(self.http.base_url), "--no-wait")
        self._yeeter("run", "split-queues", "--orders", str(orders), "--run-key", run_key, *SMALL, *where)
        self.shell.environment["RUN"] = run_key

    def start_worker(self, queue: str) -> Program:
        log = self._folder / f"{queue}.log"
        worker = self._programs.enter_context(self._yeeter.start(log, "worker", "--queues", queue))
        worker.wait_for_line("working", PATIENCE)
        return worker

    def ready(self, queue: str) -> int | None:
        queues = {row["name"]: row for row in self.http.get("/api/admin/queues").json()["items"]}
        count: int | None = queues[queue]["ready"]
        return count

    def wait_for_ready(self, queue: str, count: int) -> None:
        wait_until(lambda: self.ready(queue) == count, PATIENCE, f"{count} messages in {queue}")

    def run(self) -> dict[str, Any]:
        return dict(self.http.get(f"/api/simulator/runs/{self.shell.environment['RUN']}").json())

    def wait_for_run(self, wanted: Callable[[str], bool]) -> dict[str, Any]:
        wait_until(lambda: wanted(self.run()["state"]), PATIENCE, f"the run's state, now {self.run()}")
        return self.run()

    def orders(self) -> dict[str, int]:
        summary = self.http.get(f"/api/simulator/runs/{self.shell.environment['RUN']}/metrics").json()
        return {name: summary["orders"][name] for name in ("completed", "failed", "cancelled")}


@pytest.fixture
def site(distributed: Yeeter, programs: ExitStack, tmp_path: Path) -> Site:
    return Site(distributed, programs, tmp_path)


def has_ended(state: str) -> bool:
    return state in ("COMPLETED", "COMPLETED_WITH_ERRORS", "FAILED", "CANCELLED")


def test_a_run_is_looked_at_paused_parked_and_goes_on_after_a_restart(site: Site, rabbitmq: RabbitMq) -> None:
    shell = site.shell
    generating = site.start_worker("generate_dicom")
    site.start_run("0PERAT13", orders=24)
    site.wait_for_ready("send_dicom", 24)

    doctor, runs, queues, destinations, statistics = commands("Look first")
    assert "24 jobs wait in send_dicom and nobody takes them" in shell(doctor, code=1)
    assert "0PERAT13" in shell(runs) and "send_dicom" in shell(queues)
    assert shell.json(destinations)["healthy"] and shell.json(statistics)["open"] == 0

    pause, _, resume = commands("Pausing a run")
    shell(pause)
    assert site.run()["state"] == "PAUSED"
    shell(resume)
    assert site.run()["state"] == "WAITING_ON_WORKERS"

    park, release, _, _ = commands("Clearing a queue")
    assert shell.json(park) == {"messages": 24, "runs": [{"run_key": "0PERAT13", "jobs": 24}]}
    (parked,) = shell.json(destinations)["parked"]
    assert (parked["waiting_for"], parked["jobs"], site.ready("send_dicom")) == ("purged:send_dicom", 24, 0)
    assert shell.json(release) == {"runs": [{"run_key": "0PERAT13", "jobs": 24}]}
    site.wait_for_ready("send_dicom", 24)

    rabbitmq.stop()
    rabbitmq.start()
    again, listed = commands("Restarting RabbitMQ or PostgreSQL")
    assert re.search(r"^ok +broker ", shell(again, code=1), re.M)
    assert {row["name"]: row["ready"] for row in shell.json(listed)}["send_dicom"] == 24

    sending = site.start_worker("send_dicom")
    assert site.wait_for_run(has_ended)["state"] == "COMPLETED"
    (drain,) = commands("Draining workers")
    for worker in (generating, sending):
        shell.environment["WORKER"] = str(worker.pid)
        shell(drain)
        assert worker.wait(PATIENCE) == 0


def test_worker_pools_are_looked_at_and_scaled(site: Site) -> None:
    shell = site.shell
    shown, decisions, scale, auto = commands("Scaling workers")
    site.start_worker("generate_dicom")
    wait_until(lambda: len(shell.json(shown)["workers"]) == 1, PATIENCE, "the worker tells of itself")
    assert shell.json(scale)["pin"]["replicas"] == 6
    assert "6 by " in shell(shown)
    assert shell.json(decisions) == []  # no autoscaler is there
    assert shell.json(auto)["pin"] is None


def test_queues_are_cleared_and_each_job_is_accounted_for(site: Site) -> None:
    shell = site.shell
    site.start_worker("generate_dicom")
    site.start_run("0PERAT16", orders=24)
    site.wait_for_ready("send_dicom", 24)
    _, _, dead_letter, cancel = commands("Clearing a queue")
    for queue, status in (("nowhere", 404), ("yeeter.dead", 409)):
        refused = site.http.post(f"/api/admin/queues/{queue}/purge", json={"jobs": "park"})
        assert refused.status_code == status

    assert shell.json(dead_letter)["runs"] == [{"run_key": "0PERAT16", "jobs": 24}]
    site.wait_for_run(has_ended)
    assert site.orders() == {"completed": 0, "failed": 24, "cancelled": 0}
    assert shell.json("yeeter dead-letters retry --kind undeliverable --limit 10 --yes")["jobs"] == 10
    site.wait_for_ready("send_dicom", 10)
    assert shell.json(cancel)["runs"] == [{"run_key": "0PERAT16", "jobs": 10}]
    site.wait_for_run(has_ended)

    site.start_worker("send_dicom")
    assert shell.json("yeeter dead-letters retry --all --yes")["jobs"] == 14
    ended = site.wait_for_run(has_ended)
    assert (ended["state"], ended["epoch"], ended["reason"]) == ("COMPLETED_WITH_ERRORS", 2, "10 orders were cancelled")
    assert site.orders() == {"completed": 14, "failed": 0, "cancelled": 10}


def test_a_run_is_cancelled_and_another_one_outlasts_postgres(site: Site, postgres: Postgres) -> None:
    site.start_run("0PERAT14", orders=5)
    site.wait_for_ready("generate_dicom", 5)
    *_, cancel = commands("A run that does not get on")
    site.shell(cancel)
    assert site.wait_for_run(has_ended)["state"] == "CANCELLED"
    assert site.orders() == {"completed": 0, "failed": 0, "cancelled": 5}

    site.start_run("0PERAT15", orders=40)
    site.wait_for_ready("generate_dicom", 45)  # a cancelled job's message is thrown away by the worker that gets it
    site.start_worker("generate_dicom,send_dicom")
    postgres.stop()
    postgres.start()
    assert site.wait_for_run(has_ended)["state"] == "COMPLETED"
    assert site.orders() == {"completed": 40, "failed": 0, "cancelled": 0}
    doctor, _ = commands("Restarting RabbitMQ or PostgreSQL")
    assert re.search(r"^ok +database ", site.shell(doctor), re.M)
