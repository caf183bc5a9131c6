"""The invariants find what is wrong: each is shown evidence that is right but for one thing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.chaos.archives import Study
from tests.chaos.evidence import Evidence, Message
from tests.chaos.invariants import Expectation, violations

ORDERS = 4
DEAD = 3  # the number of the order that is poisoned
STEPS = ("GENERATE_HL7", "GENERATE_DICOM", "SEND_DICOM")
EXPECTED = Expectation(ORDERS, frozenset({DEAD}), no_jobs=1)


def event(kind: str, order: int | None = None, step: int | None = None, **data: Any) -> dict[str, Any]:
    return {"kind": kind, "order_number": order, "step_index": step, "starts": 1, "epoch": 0, "data": data}


def order(number: int) -> dict[str, Any]:
    return {
        "number": number,
        "state": "FAILED" if number == DEAD else "COMPLETED",
        "accession": f"A{number}",
        "control_id": f"A{number}01",
        "patient_id": f"P{number}",
        "study_uid": f"2.25.{number}",
        "instances": 1,
        "possibly_duplicated": False,
        "reason": "",
    }


def steps_of(number: int) -> list[dict[str, Any]]:
    states = ("SUCCEEDED", "FAILED", "CANCELLED") if number == DEAD else ("SUCCEEDED",) * 3
    return [
        {"order_number": number, "step_index": index, "state": state, "starts": int(index < 2), "epoch": 0}
        for index, state in enumerate(states)
    ]


def events_of(number: int) -> list[dict[str, Any]]:
    steps = [event(f"step.{step['state'].lower()}", number, step["step_index"]) for step in steps_of(number)]
    end = event("order.failed" if number == DEAD else "order.completed", number)
    return [event("job.queued", number, 1), event("job.started", number, 1), *steps, end]


def right() -> Evidence:
    """A run of four orders, one of them poisoned, as it should be."""
    orders = [order(number) for number in range(ORDERS)]
    completed = [row for row in orders if row["state"] == "COMPLETED"]
    summary = {
        "orders": {
            "requested": 4,
            "emitted": 4,
            "acknowledged": 4,
            "completed": 3,
            "failed": 1,
            "cancelled": 0,
            "not_emitted": 0,
        },
        "hl7": {"accepted": 4, "possibly_duplicated": 0},
        "dicom": {"instances_stored": 3, "studies_generated": 3},
        "jobs": {"published": 4, "dead_lettered": 1, "retried": 0},
        "reconciliation": {
            "expected": 3,
            "checked": 3,
            "unverifiable": 0,
            "missing": 0,
            "duplicated": 0,
            "mismatched": 0,
        },
    }
    states = [event("run.state", state=state) for state in ("PENDING", "RUNNING", "COMPLETED_WITH_ERRORS")]
    return Evidence(
        run={"state": "COMPLETED_WITH_ERRORS", "reason": "", "requested": 4, "summary": summary},
        orders=orders,
        steps=[step for number in range(ORDERS) for step in steps_of(number)],
        events=[*states, *(each for number in range(ORDERS) for each in events_of(number))],
        dead_letters=[{"order_number": DEAD}],
        no_jobs=[{"order_number": None}],
        studies=[Study(row["study_uid"], row["accession"], row["patient_id"], 1) for row in completed],
        messages=[Message(row["control_id"], row["accession"], row["patient_id"]) for row in orders],
        queues={"jobs": 0, "yeeter.dead": 0},
    )


def test_what_is_right_violates_nothing() -> None:
    assert violations(right(), EXPECTED) == []


def lose_an_order(evidence: Evidence) -> None:
    del evidence.orders[0]


def invent_an_order(evidence: Evidence) -> None:
    evidence.orders.append(order(ORDERS))


def leave_an_order_waiting(evidence: Evidence) -> None:
    evidence.orders[0]["state"] = "WAITING"


def end_an_order_twice(evidence: Evidence) -> None:
    evidence.events.append(event("order.completed", 0))


def end_a_step_twice(evidence: Evidence) -> None:
    evidence.events.append(event("step.failed", 0, 2))


def forget_a_steps_end(evidence: Evidence) -> None:
    evidence.events.remove(event("step.succeeded", 0, 2))


def leave_a_step_running(evidence: Evidence) -> None:
    evidence.steps[2]["state"] = "RUNNING"


def contradict_a_steps_event(evidence: Evidence) -> None:
    evidence.steps[2]["state"] = "CANCELLED"


def fail_an_innocent_order(evidence: Evidence) -> None:
    evidence.orders[0] |= {"state": "FAILED", "reason": "worker gone"}


def spare_the_poisoned_order(evidence: Evidence) -> None:
    evidence.orders[DEAD]["state"] = "COMPLETED"


def write_no_dead_letter(evidence: Evidence) -> None:
    evidence.dead_letters.clear()


def write_a_dead_letter_twice(evidence: Evidence) -> None:
    evidence.dead_letters *= 2


def drop_junk_silently(evidence: Evidence) -> None:
    evidence.no_jobs.clear()


def lose_a_study(evidence: Evidence) -> None:
    evidence.studies = evidence.studies[1:]


def double_a_study(evidence: Evidence) -> None:
    evidence.studies = [*evidence.studies, evidence.studies[0]._replace(study_uid="2.25.99")]


def store_an_instance_too_many(evidence: Evidence) -> None:
    evidence.studies = [evidence.studies[0]._replace(instances=2), *evidence.studies[1:]]


def swap_a_patient(evidence: Evidence) -> None:
    evidence.studies = [evidence.studies[0]._replace(patient_id="P9"), *evidence.studies[1:]]


def store_the_poisoned_study(evidence: Evidence) -> None:
    evidence.studies = [*evidence.studies, Study("2.25.3", "A3", "P3", 1)]


def lose_a_message(evidence: Evidence) -> None:
    evidence.messages = evidence.messages[1:]


def keep_a_message_twice(evidence: Evidence) -> None:
    evidence.messages = [*evidence.messages, evidence.messages[0]]


def send_what_was_not_generated(evidence: Evidence) -> None:
    evidence.messages = [*evidence.messages, Message("A901", "A9", "P9")]


def swap_a_messages_patient(evidence: Evidence) -> None:
    evidence.messages = [evidence.messages[0]._replace(patient_id="P9"), *evidence.messages[1:]]


def leave_an_outbox_entry(evidence: Evidence) -> None:
    evidence.outbox.append({"order_number": 7})


def leave_a_parked_job(evidence: Evidence) -> None:
    evidence.parked.append({"order_number": 1})


def leave_a_message_queued(evidence: Evidence) -> None:
    evidence.queues["jobs"] = 1


def lose_the_queue(evidence: Evidence) -> None:
    evidence.queues["jobs"] = -1


def end_the_run_twice(evidence: Evidence) -> None:
    evidence.events.append(event("run.state", state="COMPLETED_WITH_ERRORS"))


def end_the_run_otherwise(evidence: Evidence) -> None:
    evidence.run["state"] = "COMPLETED"


def tell_no_start(evidence: Evidence) -> None:
    evidence.events.remove(event("job.started", 0, 1))


def miscount(evidence: Evidence) -> None:
    evidence.run["summary"]["dicom"]["instances_stored"] = 4


def have_no_summary(evidence: Evidence) -> None:
    evidence.run["summary"] = None


@pytest.mark.parametrize(
    ("tamper", "words"),
    [
        (lose_an_order, "requested and have no row"),
        (invent_an_order, "nobody requested"),
        (leave_an_order_waiting, "orders that are not ended"),
        (end_an_order_twice, "orders without exactly one terminal event"),
        (end_a_step_twice, "steps without exactly one terminal event"),
        (forget_a_steps_end, "steps without exactly one terminal event"),
        (leave_a_step_running, "steps that are not ended"),
        (contradict_a_steps_event, "steps whose event and row differ"),
        (fail_an_innocent_order, "innocent orders that failed: 0 (worker gone)"),
        (spare_the_poisoned_order, "doomed orders that did not fail: 3"),
        (write_no_dead_letter, "failed orders without exactly one dead letter: 3"),
        (write_a_dead_letter_twice, "failed orders without exactly one dead letter: 3"),
        (drop_junk_silently, "1 messages were no jobs, and there are 0"),
        (lose_a_study, "whose study the archive does not have: A0"),
        (double_a_study, "studies that are not as they were ordered: A0"),
        (store_an_instance_too_many, "studies that are not as they were ordered: A0"),
        (swap_a_patient, "studies that are not as they were ordered: A0"),
        (store_the_poisoned_study, "no completed order wants: A3"),
        (lose_a_message, "messages that the receiver does not have: A001"),
        (keep_a_message_twice, "kept more than once: A001"),
        (send_what_was_not_generated, "of no order: A901"),
        (swap_a_messages_patient, "messages of the wrong order or patient: A001"),
        (leave_an_outbox_entry, "left in the outbox: 7"),
        (leave_a_parked_job, "left parked: 1"),
        (leave_a_message_queued, "queues that are not empty: jobs: 1"),
        (lose_the_queue, "queues that are not empty: jobs: -1"),
        (end_the_run_twice, "not once and COMPLETED_WITH_ERRORS"),
        (end_the_run_otherwise, "row says COMPLETED, not"),
        (tell_no_start, "starts and events differ: 0: 1, events of []"),
        (miscount, "summary's dicom.instances_stored is 4, and 3"),
        (have_no_summary, "summary's orders.requested is None, and 4"),
    ],
)
def test_what_is_wrong_is_told(tamper: Callable[[Evidence], None], words: str) -> None:
    evidence = right()
    tamper(evidence)
    found = violations(evidence, EXPECTED)
    assert any(words in line for line in found), found
