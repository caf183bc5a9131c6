"""A run from PENDING to its end: states, counts, events, verdict."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from app.domain.errors import Conflict, PermanentError
from app.domain.run import OrderState, Run, RunState, Verdict
from app.domain.study import ArchivedStudy
from app.domain.threshold import FIGURES, SUMMARY_FIGURES, flat_figures
from app.domain.work import OrderRow
from app.ports import OrderOutcome, OutboundOrder, StepContext, StepResult
from app.runs.control import request_cancel
from tests.runs.conftest import QUEUE, STEPS, World
from tests.runs.fakes import ACCEPTED, REJECTED, UNREACHABLE, FakeStep

_ROOTS = ("", "latency_seconds.")


def archived(row: OrderRow) -> ArchivedStudy:
    return ArchivedStudy(
        row.accession, row.study_uid, row.patient_id, row.patient_name, row.birth_date, row.sex, row.instances
    )


def rows(world: World, run: Run) -> list[OrderRow]:
    return world.database.queries.orders(run.id, state=None, search=None, after=None, limit=10_000).rows


class HonestArchive:
    """Has exactly what the rows say was stored, with ``change`` applied."""

    def __init__(self, world: World, run: Run, change=lambda studies: studies) -> None:  # type: ignore[no-untyped-def]
        self._world, self._run, self._change = world, run, change

    def echo(self, destination: object) -> None:
        pass

    def studies(self, destination: object, run_key: str, orders: int):  # type: ignore[no-untyped-def]
        done = [row for row in rows(self._world, self._run) if row.state is OrderState.COMPLETED]
        return iter(self._change([archived(row) for row in done]))


def test_a_clean_run_passes_and_everything_agrees(world: World) -> None:
    run = world.start(orders=250)
    world.archive = HonestArchive(world, run)  # type: ignore[assignment]
    ended = world.run_to_end(run)
    assert (ended.state, ended.verdict, ended.reason) == (RunState.COMPLETED, Verdict.PASS, "")
    summary = ended.summary
    assert summary is not None
    assert summary["orders"] == {
        "requested": 250,
        "emitted": 250,
        "acknowledged": 250,
        "completed": 250,
        "failed": 0,
        "cancelled": 0,
        "not_emitted": 0,
    }
    assert summary["jobs"]["published"] == summary["jobs"]["succeeded"] == 250
    assert summary["reconciliation"] | {"notes": []} == {
        "method": "c-find",
        "expected": 250,
        "checked": 250,
        "unverifiable": 0,
        "missing": 0,
        "duplicated": 0,
        "mismatched": 0,
        "notes": [],
    }
    kinds = Counter(event.event.kind for event in world.events(ended))
    assert kinds["order.completed"] == kinds["job.queued"] == kinds["job.started"] == kinds["job.finished"] == 250
    assert kinds["step.succeeded"] == 750
    states = [event.event.data["state"] for event in world.events(ended, "run.state")]
    assert states == ["PENDING", "RUNNING", "WAITING_ON_WORKERS", "RECONCILING", "COMPLETED"]
    with world.database.transaction() as work:
        assert work.outbox.waiting(run.id) == 0
    assert world.broker.depth(QUEUE).ready == 0


def test_thresholds_may_name_every_figure_of_a_summary_and_no_other(world: World) -> None:
    run = world.start(orders=3, arrival={"model": "constant", "rate": 100})
    world.archive = HonestArchive(world, run)  # type: ignore[assignment]
    summary = world.run_to_end(run).summary or {}
    latency = summary.pop("latency_seconds")
    del summary["environment"]
    figures = {
        f"{section}.{name}"
        for section, values in summary.items()
        if isinstance(values, dict)
        for name, value in values.items()
        if isinstance(value, (int, float))
    }
    figures |= {f"{root}{stage}.{name}" for stage, names in latency.items() for name in names for root in _ROOTS}
    assert figures == FIGURES
    assert set(flat_figures(summary | {"latency_seconds": latency})) <= set(SUMMARY_FIGURES) <= FIGURES


def test_orders_go_out_in_order_with_their_own_control_ids(world: World) -> None:
    run = world.start(orders=120)
    world.run_to_end(run)
    assert [order.number for order in world.sender.sent] == list(range(120))
    assert len({order.control_id for order in world.sender.sent}) == 120
    assert all(order.control_id.encode() in order.message for order in world.sender.sent)


def test_an_archive_that_cannot_be_asked_makes_the_run_inconclusive(world: World) -> None:
    ended = world.run_to_end(world.start())
    assert (ended.state, ended.verdict) == (RunState.COMPLETED, Verdict.INCONCLUSIVE)
    assert ended.summary is not None
    assert ended.summary["reconciliation"]["unverifiable"] == 5
    assert "it offers no C-FIND" in ended.summary["reconciliation"]["notes"][0]


@pytest.mark.parametrize(
    ("lie", "kind", "words"),
    [
        (lambda studies: studies[1:], "missing", "no study"),
        (lambda studies: [*studies, replace(studies[0], study_uid="2.25.7")], "duplicated", "2 studies"),
        (lambda studies: [replace(studies[0], patient_id="SOMEBODY"), *studies[1:]], "mismatched", "Patient ID"),
        (lambda studies: [replace(studies[0], patient_name="No^Body"), *studies[1:]], "mismatched", "Patient's Name"),
        (lambda studies: [replace(studies[0], birth_date="19000101"), *studies[1:]], "mismatched", "Birth Date"),
        (lambda studies: [replace(studies[0], instances=99), *studies[1:]], "mismatched", "instances is 99"),
        (lambda studies: [replace(studies[0], study_uid="2.25.7"), *studies[1:]], "mismatched", "Study Instance UID"),
    ],
)
def test_an_archive_that_lies_is_found_out_and_the_order_named(world: World, lie, kind: str, words: str) -> None:  # type: ignore[no-untyped-def]
    run = world.start()
    world.archive = HonestArchive(world, run, lambda studies: lie(sorted(studies, key=lambda s: s.accession)))  # type: ignore[assignment]
    ended = world.run_to_end(run)
    assert (ended.state, ended.verdict) == (RunState.COMPLETED, Verdict.FAIL)
    assert ended.summary is not None and ended.summary["reconciliation"][kind] == 1
    [finding] = world.database.queries.findings(run.id, 10)
    assert (finding.kind, finding.accession) == (kind, f"{run.run_key}00000")
    assert words in finding.detail


def test_a_study_nobody_ordered_is_found(world: World) -> None:
    run = world.start()
    stranger = ArchivedStudy(f"{run.run_key}ZZZZZ", "2.25.1", "X", "X", "", "", 1)
    world.archive = HonestArchive(world, run, lambda studies: [*studies, stranger])  # type: ignore[assignment]
    ended = world.run_to_end(run)
    assert ended.verdict is Verdict.FAIL
    assert "nobody ordered" in world.database.queries.findings(run.id, 10)[0].detail


def test_rejected_orders_fail_alone_and_the_run_says_so(world: World) -> None:
    def answer(order: OutboundOrder) -> OrderOutcome:
        return REJECTED if order.number == 2 else ACCEPTED

    world.sender.answer = answer
    run = world.start()
    world.archive = HonestArchive(world, run)  # type: ignore[assignment]
    ended = world.run_to_end(run)
    assert (ended.state, ended.verdict) == (RunState.COMPLETED_WITH_ERRORS, Verdict.FAIL)
    row, steps = world.database.queries.order(run.id, 2)
    assert row.state is OrderState.FAILED
    assert "AR: not here" in row.reason
    assert [step.state for step in steps] == ["FAILED", "CANCELLED", "CANCELLED"]
    assert 2 not in world.steps.steps["GENERATE_DICOM"].ran


def test_a_step_that_fails_fails_its_order_and_leaves_the_rest(world: World) -> None:
    def act(context: StepContext) -> StepResult:
        if context.order.number == 3:
            raise PermanentError("the archive said no")
        return StepResult({"instances": 1, "bytes": 1})

    world.steps.steps["GENERATE_DICOM"].act = act
    ended = world.run_to_end(run := world.start())
    assert ended.state is RunState.COMPLETED_WITH_ERRORS
    row, steps = world.database.queries.order(run.id, 3)
    assert (row.state, row.reason) == (OrderState.FAILED, "GENERATE_DICOM: the archive said no")
    assert [step.state for step in steps] == ["SUCCEEDED", "FAILED", "CANCELLED"]
    assert ended.summary is not None and ended.summary["orders"]["completed"] == 4


def test_a_defect_in_a_step_is_told_and_stops_nothing(world: World) -> None:
    def act(context: StepContext) -> StepResult:
        raise ZeroDivisionError("oops")

    world.steps.steps["SEND_DICOM"].act = act
    ended = world.run_to_end(run := world.start())
    assert ended.state is RunState.FAILED
    assert "ZeroDivisionError" in rows(world, run)[0].reason


def test_a_step_that_returns_what_cannot_be_written_fails_its_own_order_only(world: World) -> None:
    def act(context: StepContext) -> StepResult:
        return StepResult({"when": object()} if context.order.number == 1 else {"instances": 1, "bytes": 1})

    world.steps.steps["GENERATE_DICOM"].act = act
    ended = world.run_to_end(run := world.start())
    assert ended.state is RunState.COMPLETED_WITH_ERRORS
    assert "not JSON serializable" in world.database.queries.order(run.id, 1)[0].reason
    assert ended.summary is not None and ended.summary["orders"]["completed"] == 4


def test_a_destination_that_cannot_be_reached_fails_the_run_before_anything_is_sent(world: World) -> None:
    world.archive.down = "connection refused; is the archive running?"
    ended = world.run_to_end(run := world.start())
    assert ended.state is RunState.FAILED
    assert "ARCHIVE@127.0.0.1:104" in ended.reason and "is the archive running?" in ended.reason
    assert not world.sender.sent and not rows(world, run)
    assert ended.summary is not None and ended.summary["orders"]["not_emitted"] == 5


def test_a_receiver_that_goes_away_stops_the_run_with_its_reason(world: World) -> None:
    def answer(order: OutboundOrder) -> OrderOutcome:
        return ACCEPTED if order.number < 50 else UNREACHABLE

    world.sender.answer = answer
    ended = world.run_to_end(run := world.start(orders=2000, hl7={"patience": 0}))
    assert ended.state is RunState.FAILED
    assert "connection refused" in ended.reason
    counts = ended.summary["orders"] if ended.summary else {}
    assert counts["requested"] == sum(counts[end] for end in ("completed", "failed", "cancelled", "not_emitted"))
    assert counts["emitted"] == len(rows(world, run)) == 50


def test_a_run_can_be_produced_only_once(world: World) -> None:
    ended = world.run_to_end(world.start())
    with pytest.raises(Conflict, match="COMPLETED"):
        world.producer(ended).produce()


def test_a_run_that_is_cancelled_before_it_begins_sends_nothing(world: World) -> None:
    run = world.start()
    ended = world.run_to_end(request_cancel(world.database, run.id))
    assert ended.state is RunState.CANCELLED
    assert not world.sender.sent


def test_orders_only_needs_no_worker(world: World) -> None:
    run = world.start(orders=30, steps=STEPS[:1])
    ended = world.producer(run).produce()
    assert ended.state is RunState.COMPLETED
    assert ended.summary is not None and ended.summary["orders"]["completed"] == 30


def test_split_queues_hand_the_order_from_pool_to_pool(world: World) -> None:
    world.broker.declare(["make", "send"])
    run = world.start(
        orders=40,
        steps=[
            STEPS[0],
            {"type": "GENERATE_DICOM", "queue": "make"},
            {"type": "SEND_DICOM", "queue": "send"},
        ],
    )
    makers, senders = world.worker("make", name="maker"), world.worker("send", name="sender")
    makers.start()
    senders.start()
    ended = world.producer(run).produce()
    assert makers.stop(5) and senders.stop(5)
    assert ended.state is RunState.COMPLETED
    finished = Counter(event.event.data["worker"] for event in world.events(run, "job.finished"))
    assert finished == {"maker": 40, "sender": 40}
    assert ended.summary is not None and ended.summary["jobs"]["published"] == 80


def test_inline_steps_run_on_a_queue_of_the_producers_own(world: World) -> None:
    world.broker.declare(["inline"])
    run = world.start(orders=10, steps=[STEPS[0] | {"queue_async": False}, *STEPS[1:]])
    ended = world.run_to_end(run, "inline")
    assert ended.state is RunState.COMPLETED
    assert {event.event.data["queue"] for event in world.events(run, "job.queued")} == {"inline"}


def test_wait_parks_the_rest_of_the_job_without_a_worker(world: World) -> None:
    world.steps.steps["WAIT"] = FakeStep(lambda context: StepResult({"wait_seconds": 0.3}, wait_seconds=0.3))
    run = world.start(orders=3, steps=[*STEPS[:2], {"type": "WAIT"}, STEPS[2]])
    ended = world.run_to_end(run)
    assert ended.state is RunState.COMPLETED
    waited = [event for event in world.events(run, "step.succeeded") if event.event.data["type"] == "WAIT"]
    sent = {
        event.event.order_number: event.at
        for event in world.events(run, "step.succeeded")
        if event.event.data["type"] == "SEND_DICOM"
    }
    for event in waited:
        assert (sent[event.event.order_number] - event.at).total_seconds() >= 0.29
