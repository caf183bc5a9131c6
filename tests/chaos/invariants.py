"""What must be true after a run, whatever has happened to it. Each violation is a line that says what is wrong."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from tests.chaos.evidence import Evidence

SHOWN = 5  # examples in a line
STEP_KINDS = {"step.succeeded": "SUCCEEDED", "step.failed": "FAILED", "step.cancelled": "CANCELLED"}
ORDER_KINDS = {"order.completed": "COMPLETED", "order.failed": "FAILED", "order.cancelled": "CANCELLED"}
ENDS = ("COMPLETED", "COMPLETED_WITH_ERRORS", "FAILED", "CANCELLED")


@dataclass(frozen=True, slots=True)
class Expectation:
    """How the run was to end. ``no_jobs``: messages that were published and are no jobs."""

    orders: int
    dead: frozenset[int] = frozenset()
    no_jobs: int = 0
    archive_can_be_asked: bool = True


def violations(evidence: Evidence, expected: Expectation) -> list[str]:
    """Empty when all is as it must be."""
    return [line for invariant in INVARIANTS for line in invariant(evidence, expected)]


def _one_end_of_every_step(evidence: Evidence, expected: Expectation) -> Iterator[str]:
    ends: dict[tuple[int, int, int], list[str]] = defaultdict(list)
    for event in evidence.events:
        if event["kind"] in STEP_KINDS:
            ends[event["order_number"], event["step_index"], event["epoch"]].append(STEP_KINDS[event["kind"]])
    rows = {(step["order_number"], step["step_index"], step["epoch"]): step["state"] for step in evidence.steps}
    yield from _line("steps without exactly one terminal event", (key for key in rows if len(ends[key]) != 1))
    yield from _line(
        "steps whose event and row differ", (key for key in rows if ends[key][:1] not in ([], [rows[key]]))
    )
    yield from _line(
        "steps that are not ended", (key for key, state in rows.items() if state not in STEP_KINDS.values())
    )


def _one_end_of_every_order(evidence: Evidence, expected: Expectation) -> Iterator[str]:
    ends: dict[int, list[str]] = defaultdict(list)
    for event in evidence.events:
        if event["kind"] in ORDER_KINDS:
            ends[event["order_number"]].append(ORDER_KINDS[event["kind"]])
    rows = {order["number"]: order["state"] for order in evidence.orders}
    yield from _line("orders without exactly one terminal event", (n for n in rows if len(ends[n]) != 1))
    yield from _line("orders whose event and row differ", (n for n in rows if ends[n][-1:] not in ([], [rows[n]])))
    yield from _line("orders that are not ended", (n for n, state in rows.items() if state not in ORDER_KINDS.values()))
    yield from _line("events of orders that have no row", ends.keys() - rows.keys())


def _every_order_is_there_once(evidence: Evidence, expected: Expectation) -> Iterator[str]:
    numbers = {order["number"] for order in evidence.orders}
    yield from _line("orders that were requested and have no row", set(range(expected.orders)) - numbers)
    yield from _line("orders that nobody requested", numbers - set(range(expected.orders)))


def _exactly_the_doomed_are_dead(evidence: Evidence, expected: Expectation) -> Iterator[str]:
    failed = {order["number"] for order in evidence.orders if order["state"] == "FAILED"}
    letters = Counter(letter["order_number"] for letter in evidence.dead_letters)
    yield from _line("innocent orders that failed", (_told(evidence, number) for number in failed - expected.dead))
    yield from _line("doomed orders that did not fail", expected.dead - failed)
    yield from _line("failed orders without exactly one dead letter", (n for n in failed if letters[n] != 1))
    yield from _line("dead letters of orders that did not fail", letters.keys() - failed)
    if len(evidence.no_jobs) < expected.no_jobs:
        yield f"{expected.no_jobs} messages were no jobs, and there are {len(evidence.no_jobs)} dead letters of them"


def _the_archive_has_the_wanted_studies(evidence: Evidence, expected: Expectation) -> Iterator[str]:
    wanted = {
        order["accession"]: (order["study_uid"], order["patient_id"], order["instances"])
        for order in evidence.orders
        if order["state"] == "COMPLETED"
    }
    found: dict[str, list[tuple[str, str, int]]] = defaultdict(list)
    for study in evidence.studies:
        found[study.accession].append((study.study_uid, study.patient_id, study.instances))
    yield from _line("completed orders whose study the archive does not have", wanted.keys() - found.keys())
    yield from _line("studies in the archive that no completed order wants", found.keys() - wanted.keys())
    wrong = (f"{a}: {found[a]}, not {wanted[a]}" for a in wanted.keys() & found.keys() if found[a] != [wanted[a]])
    yield from _line("studies that are not as they were ordered", wrong)


def _the_receiver_has_every_order(evidence: Evidence, expected: Expectation) -> Iterator[str]:
    wanted = {order["control_id"]: (order["accession"], order["patient_id"]) for order in evidence.orders}
    kept = Counter(message.control_id for message in evidence.messages)
    yield from _line("messages that the receiver does not have", wanted.keys() - kept.keys())
    yield from _line("messages at the receiver that are of no order", kept.keys() - wanted.keys())
    yield from _line("messages that it kept more than once", (key for key, count in kept.items() if count > 1))
    wrong = (m.control_id for m in evidence.messages if wanted.get(m.control_id, m[1:]) != (m.accession, m.patient_id))
    yield from _line("messages of the wrong order or patient", wrong)


def _nothing_is_left(evidence: Evidence, expected: Expectation) -> Iterator[str]:
    yield from _line("jobs left in the outbox", (entry["order_number"] for entry in evidence.outbox))
    yield from _line("jobs left parked", (entry["order_number"] for entry in evidence.parked))
    yield from _line("queues that are not empty", (f"{queue}: {n}" for queue, n in evidence.queues.items() if n))


def _the_run_ended_once(evidence: Evidence, expected: Expectation) -> Iterator[str]:
    states = [event["data"]["state"] for event in evidence.events if event["kind"] == "run.state"]
    ends = [state for state in states if state in ENDS]
    wanted = "COMPLETED_WITH_ERRORS" if expected.dead else "COMPLETED"
    if ends != [wanted]:
        yield f"the run's events say that it ended {ends}, not once and {wanted}: {states}"
    if evidence.run["state"] != wanted:
        yield f"the run's row says {evidence.run['state']}, not {wanted}: {evidence.run['reason']}"


def _starts_are_told(evidence: Evidence, expected: Expectation) -> Iterator[str]:
    """An order's jobs share one queue here, so their starts are one series, whichever step each began at."""
    told: dict[int, list[int]] = defaultdict(list)
    for event in evidence.events:
        if event["kind"] == "job.started":
            told[event["order_number"]].append(event["starts"])
    rows: Counter[int] = Counter()
    for step in evidence.steps:
        if step["step_index"]:
            rows[step["order_number"]] = max(rows[step["order_number"]], step["starts"])
    wrong = (
        f"{n}: {rows[n]}, events of {sorted(told[n])}" for n in rows if sorted(told[n]) != [*range(1, rows[n] + 1)]
    )
    yield from _line("orders whose starts and events differ", wrong)


def _the_summary_agrees(evidence: Evidence, expected: Expectation) -> Iterator[str]:
    """Rows, events and receivers are compared above; so it is enough to hold the summary against rows and events."""
    for path, value in _figures(evidence, expected).items():
        part, name = path.split(".")
        told = evidence.summary.get(part, {}).get(name)
        if told != value:
            yield f"the summary's {path} is {told}, and {value} by rows and events"


def _figures(evidence: Evidence, expected: Expectation) -> dict[str, Any]:
    states = Counter(order["state"] for order in evidence.orders)
    kinds = Counter(event["kind"] for event in evidence.events)
    completed = [order for order in evidence.orders if order["state"] == "COMPLETED"]
    stored = sum(order["instances"] for order in completed)
    can = expected.archive_can_be_asked
    return {
        "orders.requested": evidence.run["requested"],
        "orders.emitted": len(evidence.orders),
        "orders.acknowledged": len(evidence.orders),
        "orders.completed": states["COMPLETED"],
        "orders.failed": states["FAILED"],
        "orders.cancelled": states["CANCELLED"],
        "orders.not_emitted": expected.orders - len(evidence.orders),
        "hl7.accepted": len(evidence.orders),
        "hl7.possibly_duplicated": sum(bool(order["possibly_duplicated"]) for order in evidence.orders),
        "dicom.instances_stored": stored,
        "dicom.studies_generated": len(completed),
        "jobs.published": kinds["job.queued"],
        "jobs.dead_lettered": len(evidence.dead_letters),
        "jobs.retried": kinds["step.retried"],
        "reconciliation.expected": len(completed),
        "reconciliation.checked": len(completed) if can else 0,
        "reconciliation.unverifiable": 0 if can else len(completed),
        "reconciliation.missing": 0,
        "reconciliation.duplicated": 0,
        "reconciliation.mismatched": 0,
    }


def _told(evidence: Evidence, number: int) -> str:
    reason = next(order["reason"] for order in evidence.orders if order["number"] == number)
    return f"{number} ({reason})"


def _line(what: str, examples: Iterable[Any]) -> Iterator[str]:
    """One line for all of a kind; none when there is none."""
    found = sorted(map(str, examples))
    if found:
        more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
        yield f"{len(found)} {what}: {', '.join(found[:SHOWN])}{more}"


INVARIANTS: tuple[Callable[[Evidence, Expectation], Iterator[str]], ...] = (
    _every_order_is_there_once,
    _one_end_of_every_order,
    _one_end_of_every_step,
    _exactly_the_doomed_are_dead,
    _the_archive_has_the_wanted_studies,
    _the_receiver_has_every_order,
    _nothing_is_left,
    _the_run_ended_once,
    _starts_are_told,
    _the_summary_agrees,
)
