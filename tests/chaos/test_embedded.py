"""The embedded run under faults: its one process is killed again and again, by us and by jobs of its own.

``yeeter runs resume`` goes on with it each time, as a person would; the invariants are those of every run.
"""

from __future__ import annotations

import json
import os
import random
import sqlite3
import sys
from collections import defaultdict
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from app.bootstrap import SHIPPED_TEMPLATES
from tests.chaos.archives import Study
from tests.chaos.evidence import Evidence, read_ledger, read_rows
from tests.chaos.invariants import Expectation, violations
from tests.chaos.plan import ORDERS, SEEDS
from tests.chaos.preloaded import ROOT
from tests.chaos.rows import RunRows
from tests.chaos.steps import STEP_TYPES
from tests.services.processes import Program, wait_until

FEWER = ORDERS // 3  # one process does everything
RUN_KEY = "EMBEDDED"
KILLS = 4
LIMIT = 300.0  # seconds without a further order that has ended
THRESHOLDS_NOT_MET = 99  # a killed order is a failed one
OTHER_PROCESS = "another process runs it"  # until its lease has run out

pytestmark = pytest.mark.timeout(2 * LIMIT)


@dataclass(frozen=True)
class EmbeddedPlan:
    """``kills``: after so many orders the process is killed; ``killer``: the order whose job kills it."""

    seed: int
    poisoned: int
    flaky: int
    killer: int
    kills: tuple[int, ...]


def draw_embedded_plan(seed: int) -> EmbeddedPlan:
    draw = random.Random(seed)
    poisoned, flaky, killer = draw.sample(range(FEWER), 3)
    return EmbeddedPlan(seed, poisoned, flaky, killer, tuple(sorted(draw.sample(range(FEWER * 9 // 10), KILLS))))


class Laptop:
    """A folder in which somebody runs ``yeeter``, with nothing else."""

    def __init__(self, folder: Path, plan: EmbeddedPlan) -> None:
        self._folder = folder
        self._plan = plan
        self._home = folder / "home"
        self._database = self._home / "yeeter.db"
        self._url = f"sqlite:///{self._database}"
        self._environment = {
            **{name: value for name, value in os.environ.items() if name in ("PATH", "HOME")},
            "PYTHONPATH": str(ROOT),
            "YEETER_HOME": str(self._home),
            "YEETER_LEASE_SECONDS": "2",
            "YEETER_STEP_TYPES": json.dumps(STEP_TYPES),
        }
        self.ends: list[str] = []  # how its processes ended

    def template(self) -> Path:
        document = yaml.safe_load((SHIPPED_TEMPLATES / "metadata-only.yaml").read_text())
        document["name"] = "embedded-chaos"
        struck = self._folder / "struck"
        struck.mkdir()
        document["steps"][1:1] = [
            {"type": "CHAOS_POISON", "parameters": {"orders": [self._plan.poisoned]}},
            {"type": "CHAOS_FLAKY", "parameters": {"orders": [self._plan.flaky], "folder": str(struck)}},
            {"type": "CHAOS_KILLER", "parameters": {"orders": [self._plan.killer]}},
        ]
        path = self._folder / "embedded-chaos.yaml"
        path.write_text(yaml.safe_dump(document))
        return path

    def start(self, *arguments: object) -> Program:
        command = [sys.executable, "-m", "app", *map(str, arguments)]
        return Program(command, self._folder / "program.log", self._environment)

    def ended(self) -> int:
        """Orders that have ended; -1 while there is no run."""
        run_id = self._id()
        return RunRows(self._url, run_id).ended() if run_id else -1

    def _id(self) -> str:
        if not self._database.exists():
            return ""
        with closing(sqlite3.connect(self._database)) as connection, suppress(sqlite3.OperationalError):
            for (run_id,) in connection.execute("SELECT id FROM simulation_runs"):
                return str(run_id)
        return ""

    def carry_out(self) -> int:
        """The exit code of the process that came to the run's end."""
        program = self.start(
            *("run", self.template(), "--orders", FEWER, "--seed", self._plan.seed, "--run-key", RUN_KEY)
        )
        kills = list(self._plan.kills)
        while True:
            code = self._end_of(program, kills)
            if code in (0, THRESHOLDS_NOT_MET):
                return code
            if OTHER_PROCESS not in program.output:
                self.ends.append(f"{self.ended()} orders: code {code}")
                assert code < 0, program.output  # it never gives up by itself
            program = self.start("runs", "resume", RUN_KEY)

    def _end_of(self, program: Program, kills: list[int]) -> int:
        """Its exit code; it is killed when as many orders have ended as the next one of ``kills`` says."""
        wait_until(lambda: not program.running or self._is_due(kills), LIMIT, "its end, or the next kill")
        if program.running:
            kills.pop(0)
            program.kill()
        return program.wait()

    def _is_due(self, kills: list[int]) -> bool:
        return bool(kills) and self.ended() >= kills[0]

    def evidence(self) -> Evidence:
        evidence = read_rows(self._url, self._id())
        ledgers = self._home / "runs" / self._id()
        evidence.messages = read_ledger(ledgers / "mllp.jsonl")
        evidence.studies = read_studies(ledgers / "dicom.jsonl")
        return evidence


def read_studies(path: Path) -> list[Study]:
    """From the built-in receiver's ledger, a line for each C-STORE; the first of a study says whose it is."""
    whose: dict[str, tuple[str, str]] = {}
    instances: defaultdict[str, set[str]] = defaultdict(set)
    for record in map(json.loads, path.read_text(encoding="utf-8").splitlines()):
        if "accession" in record:
            whose[record["study_uid"]] = record["accession"], record["patient_id"]
        instances[record["study_uid"]].add(record["sop_instance_uid"])
    return [Study(uid, *whose[uid], len(instances[uid])) for uid in instances]


@pytest.mark.parametrize("seed", SEEDS)
def test_an_embedded_run_that_is_killed_again_and_again_loses_doubles_and_invents_nothing(
    seed: int, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    plan = draw_embedded_plan(seed)
    laptop = Laptop(tmp_path, plan)
    code = laptop.carry_out()
    print(plan, *laptop.ends, sep="\n")
    assert code == THRESHOLDS_NOT_MET
    assert len(laptop.ends) >= KILLS
    dead = frozenset((plan.poisoned, plan.killer))
    found = violations(laptop.evidence(), Expectation(FEWER, dead))
    for name, value in {"orders": FEWER, "kills": len(laptop.ends), "violations": len(found)}.items():
        record_property(name, value)
    assert found == [], (plan, laptop.ends)
