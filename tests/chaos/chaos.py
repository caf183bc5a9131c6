"""A run under faults, from its start to the judgement of what it has left behind."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from tests.chaos.crew import Crew
from tests.chaos.department import Department
from tests.chaos.director import NOT_JOBS, Director
from tests.chaos.evidence import DEAD_QUEUE, Evidence, read_ledger, read_queues, read_rows
from tests.chaos.invariants import Expectation, violations
from tests.chaos.plan import ORDERS, Plan
from tests.chaos.preloaded import Preloaded
from tests.chaos.rows import RunRows
from tests.services.processes import wait_until

LIMIT = max(900.0, 0.3 * ORDERS)  # seconds for one run, before its state is told in place of its result
LOG_LINES = 25


class Chaos:
    """One plan carried out: the department, the crew, the director, and what can be told of them.

    ``figures`` and ``evidence`` are there when the run has ended.
    """

    evidence: Evidence

    def __init__(self, plan: Plan, department: Department, preloaded: Preloaded, seconds: float = LIMIT) -> None:
        """``seconds``: how long the run may take."""
        self.plan = plan
        self.department = department
        self.run_id = department.start_run().id
        self.rows = RunRows(department.database_url, self.run_id)
        self.crew = Crew(department, preloaded, self.run_id, self.rows)
        self.director = Director(department, self.crew, self.rows, self.run_id, seconds)
        self.figures: dict[str, float] = {}

    def carry_out(self, act: Callable[[Chaos], None] | None = None) -> list[str]:
        """The violations; a run that does not end is one, with its state.

        ``act``: what happens to the run before its plan's faults, if any. It may raise TimeoutError.
        """
        begun = time.monotonic()
        with self.crew:
            try:
                if act is not None:
                    act(self)
                self.director.carry_out()
                self._wait_for_empty_queues()
                self.crew.stop()
            except TimeoutError as error:
                return [str(error), *self._state()]
            self.evidence = self._evidence()
        junk = sum(fault.kind == "junk" for fault in self.plan.faults)
        expected = Expectation(
            self.plan.orders, self.plan.dead, junk * len(NOT_JOBS), self.department.archive.can_be_asked
        )
        found = violations(self.evidence, expected) + self.crew.complaints
        instances = sum(study.instances for study in self.evidence.studies)
        extra = max(self.department.stores.requests - instances, 0)  # a request that came in two pieces is not counted
        self.figures |= {
            "orders": len(self.evidence.orders),
            "violations": len(found),
            "run_seconds": round(time.monotonic() - begun, 1),
            "worker_kills": self.crew.kills,
            "store_requests": self.department.stores.requests,
            "extra_stores": extra,
            "extra_stores_percent": round(100 * extra / max(instances, 1), 2),
        }
        return found

    def advance(self, orders: int, ahead: int = 0) -> None:
        """Have so many orders end, with ``ahead`` more under way. Raises TimeoutError."""
        self.department.pace.allow(orders + ahead)
        wait_until(lambda: self.rows.ended() >= orders, LIMIT, f"{orders} orders that have ended")

    def wait_for_further_orders(self, seconds: float) -> float:
        """Until one more has ended; the seconds it took. Raises TimeoutError."""
        begun, before = time.monotonic(), self.rows.ended()
        wait_until(lambda: self.rows.ended() > before >= 0, seconds, "an order that ends")
        return time.monotonic() - begun

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


def readable(plan: Plan, report: Sequence[str], found: Sequence[str]) -> str:
    """Violations, and what it takes to have them again."""
    drawn = {"SEED": plan.seed, "ORDERS": plan.orders, "KILL_EVERY": plan.kill_every}
    replay = "replay with " + " ".join(f"YEETER_CHAOS_{name}={value}" for name, value in drawn.items())
    return "\n".join([f"{len(found)} violations, seed {plan.seed} ({replay})", *found, "", *report])
