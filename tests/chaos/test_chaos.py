"""Runs under faults, and the invariants afterwards. See the package's text for how to replay one."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.chaos.crew import Crew
from tests.chaos.department import Department
from tests.chaos.director import NOT_JOBS, Director
from tests.chaos.evidence import DEAD_QUEUE, Evidence, read_ledger, read_queues, read_rows
from tests.chaos.invariants import Expectation, violations
from tests.chaos.plan import KILL_EVERY, ORDERS, SEEDS, Plan, calm_plan, draw_plan
from tests.chaos.preloaded import Preloaded
from tests.chaos.rows import RunRows
from tests.services.postgres import Postgres
from tests.services.processes import wait_until
from tests.services.rabbitmq import RabbitMq

LIMIT = 900.0  # seconds for one run, before its state is told in place of its result
LOG_LINES = 25

pytestmark = pytest.mark.timeout(LIMIT + 300)


class Chaos:
    """One plan carried out: the department, the crew, the director, and what can be told of them."""

    def __init__(self, plan: Plan, department: Department, preloaded: Preloaded) -> None:
        self.plan = plan
        self.department = department
        self.run_id = department.start_run().id
        self.rows = RunRows(department.database_url, self.run_id)
        self.crew = Crew(department, preloaded, self.run_id, self.rows)
        self.director = Director(department, self.crew, self.rows, self.run_id, LIMIT)
        self.figures: list[str] = []

    def carry_out(self) -> list[str]:
        """The violations; a run that does not end is one, with its state."""
        begun = time.monotonic()
        with self.crew:
            try:
                self.director.carry_out()
                self._wait_for_empty_queues()
                self.crew.stop()
            except TimeoutError as error:
                return [str(error), *self._state()]
            evidence = self._evidence()
        junk = sum(fault.kind == "junk" for fault in self.plan.faults)
        expected = Expectation(
            self.plan.orders, self.plan.dead, junk * len(NOT_JOBS), self.department.archive.can_be_asked
        )
        self.figures = [
            f"{time.monotonic() - begun:.1f} s, {self.crew.kills} workers killed at random",
            f"{self.department.stores.requests} C-STORE requests for {len(evidence.studies)} studies",
        ]
        return violations(evidence, expected) + self.crew.complaints

    @property
    def _queues(self) -> tuple[str, str]:
        return self.department.queue, DEAD_QUEUE

    def _wait_for_empty_queues(self) -> None:
        """While workers are there to empty them; what is left is for the invariants to tell."""

        def are_empty() -> bool:
            return not any(read_queues(self.department.rabbitmq.url(), self._queues).values())

        wait_until(are_empty, 60, "empty queues")

    def _evidence(self) -> Evidence:
        evidence = read_rows(self.department.database_url, self.run_id)
        evidence.studies = self.department.archive.studies()
        evidence.messages = read_ledger(self.department.ledger)
        evidence.queues = read_queues(self.department.rabbitmq.url(), self._queues)
        return evidence

    def _state(self) -> list[str]:
        """What can be told of a run that does not end."""
        evidence = self._evidence()
        waiting = [row for row in evidence.orders if row["state"] in ("SENDING", "WAITING")]
        numbers = {row["number"] for row in waiting[:3]}
        lines = [f"run {evidence.run['state']} {evidence.run['reason']}; {len(waiting)} orders not ended"]
        lines += [str(row) for row in evidence.steps if row["order_number"] in numbers]
        lines += [str(row) for row in evidence.events if row["order_number"] in numbers]
        lines += [f"outbox {len(evidence.outbox)}, parked {len(evidence.parked)}, queues {evidence.queues}"]
        for log in self.crew.logs:
            lines += [f"--- {log.name}", *log.read_text(errors="replace").splitlines()[-LOG_LINES:]]
        return lines


@pytest.fixture
def carry_out(mortal_rabbitmq: RabbitMq, mortal_postgres: Postgres, preloaded: Preloaded, tmp_path: Path):  # type: ignore[no-untyped-def]
    """Carries a plan out and asserts that nothing is wrong."""

    def carry_out(plan: Plan) -> None:
        with mortal_postgres.new_database() as database:
            department = Department(plan, mortal_rabbitmq, mortal_postgres, database, tmp_path)
            with department.open():
                chaos = Chaos(plan, department, preloaded)
                found = chaos.carry_out()
        report = [f"plan {plan.as_json()}", *chaos.director.done, *chaos.figures]
        print(*report, sep="\n")
        assert not found, _readable(plan, report, found)

    return carry_out


def _readable(plan: Plan, report: Sequence[str], found: Sequence[str]) -> str:
    drawn = {"SEED": plan.seed, "ORDERS": plan.orders, "KILL_EVERY": plan.kill_every}
    replay = "replay with " + " ".join(f"YEETER_CHAOS_{name}={value}" for name, value in drawn.items())
    return "\n".join([f"{len(found)} violations, seed {plan.seed} ({replay})", *found, "", *report])


def test_without_faults_everything_agrees(carry_out) -> None:  # type: ignore[no-untyped-def]
    carry_out(calm_plan(200))


@pytest.mark.parametrize("seed", SEEDS)
def test_under_faults_nothing_is_lost_doubled_or_invented(carry_out, seed: int) -> None:  # type: ignore[no-untyped-def]
    carry_out(draw_plan(seed, ORDERS, KILL_EVERY))
