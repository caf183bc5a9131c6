"""A run in spans: one trace over all its processes, whatever happens to them, and nothing where nobody asked for it."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from uuid import uuid4

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBased, TraceIdRatioBased

from app.adapters.broker.in_process import InProcessBroker
from app.api.application import create_app
from app.domain.errors import TemporaryError
from app.domain.run import Run, RunState
from app.domain.trace import TraceContext, new_trace
from app.ports import Message, StepContext, StepResult, Toolbox
from app.runs.traces import LABEL
from app.runs.working.spans import TracedSender
from app.steps.send_dicom import SendDicom
from tests.api.in_process import in_process
from tests.runs.conftest import QUEUE, STEPS, World
from tests.runs.fakes import REJECTED, FakeOrderSender, FakeStep, generated
from tests.runs.faults import Producing
from tests.runs.test_takeover import die_after, run_to_end
from tests.runs.tracing import Recorded, attributes, identity, parent, seconds
from tests.services.processes import wait_until
from tests.steps.fakes import FakeStudySender

CALLER = new_trace("somebody's test")
RETRY = {"max_attempts": 2, "first_delay": 0.0}


@pytest.fixture
def recorded() -> Recorded:
    return Recorded(exchange="exchange")


@pytest.fixture
def traced(world: World, recorded: Recorded) -> World:
    return replace(world, tracing=recorded)


def really_sending(world: World, recorded: Recorded, *, fails_first: bool = False) -> FakeStep:
    """SEND_DICOM itself, over a sender whose archive takes everything, perhaps not at first."""
    sender = FakeStudySender(outcome="failed" if fails_first else "stored")
    step = SendDicom(Toolbox(world.studies, TracedSender(sender, recorded), world.archive))

    def act(context: StepContext) -> StepResult:
        try:
            return step.run(context)
        finally:
            sender.outcome = "stored"

    return FakeStep(act)


def labelled(world: World, context: TraceContext) -> Run:
    """A run of one order that was asked for in this context."""
    run = world.start(orders=1)
    asked_for = replace(run, id=str(uuid4()), run_key="ABCDEFGH", labels={LABEL: str(context)})
    with world.database.transaction() as work:
        work.runs.add(asked_for)
    return asked_for


def test_one_trace_leads_from_the_run_to_the_c_store(traced: World, recorded: Recorded) -> None:
    traced.steps.steps["SEND_DICOM"] = really_sending(traced, recorded)
    run = traced.start(orders=2)
    traced.run_to_end(run)
    assert len(recorded.trace_ids()) == 1
    root = recorded.the("run")
    assert parent(root) is None
    orders, publishes, jobs = (recorded.named(name) for name in ("emit order", "publish", "process"))
    assert [len(spans) for spans in (orders, publishes, jobs)] == [2, 2, 2]
    assert {parent(order) for order in orders} == {identity(root)}
    for spans in (publishes, jobs):
        assert {parent(span) for span in spans} == {identity(order) for order in orders}
    for type_ in ("GENERATE_DICOM", "SEND_DICOM"):
        assert {parent(step) for step in recorded.named(type_)} == {identity(job) for job in jobs}
    assert {parent(store) for store in recorded.named("C-STORE")} == set(map(identity, recorded.named("SEND_DICOM")))


def test_spans_say_what_by_the_conventions(traced: World, recorded: Recorded) -> None:
    traced.steps.steps["SEND_DICOM"] = really_sending(traced, recorded)
    run = traced.start(orders=1)
    traced.run_to_end(run)
    queue = {
        "messaging.system": "rabbitmq",
        "messaging.destination.name": f"exchange:{QUEUE}",
        "messaging.rabbitmq.destination.routing_key": QUEUE,
        "messaging.message.id": f"{run.id}-0-1-0",
        "yeeter.run.key": run.run_key,
        "yeeter.order.number": 0,
    }
    publish, job, store = recorded.the("publish"), recorded.the("process"), recorded.the("C-STORE")
    assert publish.name == f"publish exchange:{QUEUE}" and publish.kind.name == "PRODUCER"
    sent = {"messaging.operation.name": "publish", "messaging.operation.type": "send"}
    assert attributes(publish) == queue | sent
    assert job.name == f"process exchange:{QUEUE}" and job.kind.name == "CONSUMER"
    processed = {"messaging.operation.name": "process", "messaging.operation.type": "process"}
    assert (queue | processed).items() <= attributes(job).items()
    assert attributes(job)["yeeter.job.outcome"] == "succeeded" and attributes(job)["yeeter.job.starts"] == 1
    assert attributes(job)["yeeter.job.wait_seconds"] >= 0  # type: ignore[operator]
    assert store.kind.name == "CLIENT"
    assert attributes(store)["server.port"] == 104 and attributes(store)["yeeter.dicom.instances"] == 1
    assert recorded.spans[0].resource.attributes["service.name"] == "yeeter"


def test_spans_lie_within_those_above_them(traced: World, recorded: Recorded) -> None:
    traced.steps.steps["SEND_DICOM"] = really_sending(traced, recorded)
    traced.run_to_end(traced.start(orders=1))
    for inner, outer in (("C-STORE", "SEND_DICOM"), ("SEND_DICOM", "process"), ("GENERATE_DICOM", "process")):
        (begun, ended), (first, last) = seconds(recorded.the(inner)), seconds(recorded.the(outer))
        assert first <= begun <= ended <= last


def test_nothing_of_a_patient_is_told(traced: World, recorded: Recorded) -> None:
    told_to: list[StepContext] = []

    def refuses(context: StepContext) -> StepResult:
        told_to.append(context)
        raise TemporaryError(f"no room for {context.order.patient.patient_id}")

    traced.steps.steps["SEND_DICOM"].act = refuses
    traced.run_to_end(traced.start(orders=1, steps=[*STEPS[:2], STEPS[2] | {"retry": RETRY | {"max_attempts": 1}}]))
    patient = told_to[0].order.patient
    everything = " ".join(span.to_json() for span in recorded.spans)
    assert recorded.named("SEND_DICOM")
    for secret in (patient.patient_id, patient.name.family, told_to[0].order.accession):
        assert secret not in everything


def test_a_caller_s_trace_goes_on_in_the_run(traced: World, recorded: Recorded) -> None:
    traced.run_to_end(labelled(traced, CALLER))
    assert recorded.trace_ids() == {int(CALLER.trace_id, 16)}
    assert parent(recorded.the("run")) == (int(CALLER.trace_id, 16), int(CALLER.span_id, 16))


def test_a_rest_call_is_in_its_caller_s_trace_and_so_is_all_that_follows(
    traced: World, recorded: Recorded, tmp_path: Path
) -> None:
    traced.steps.steps["SEND_DICOM"] = really_sending(traced, recorded)
    document = traced.start().document
    with in_process(tmp_path) as api:  # over the same database
        asked = replace(api, app=create_app(replace(api.bundle, tracing=recorded), api.producers))
        body = {"template": document, "orders": 1}
        answer = asked.ask("POST", "/api/simulator/runs", json=body, headers={"traceparent": str(CALLER)})
    assert answer.status_code == 202, answer.text
    with traced.database.transaction() as work:
        run = work.runs.get(answer.json()["id"])
    traced.run_to_end(run)
    call = recorded.the("POST /api/simulator/runs")
    assert call.kind.name == "SERVER" and attributes(call)["http.response.status_code"] == 202
    assert parent(call) == (int(CALLER.trace_id, 16), int(CALLER.span_id, 16))
    assert parent(recorded.the("run")) == identity(call)
    assert recorded.trace_ids() == {int(CALLER.trace_id, 16)}
    line = ["C-STORE", "SEND_DICOM", "process", "emit order", "run"]
    for below, above in pairwise(map(recorded.the, line)):
        assert parent(below) == identity(above)


@pytest.mark.parametrize(
    ("traceparent", "labels", "expected"),
    [("nonsense", {}, None), ("", {}, None), (str(CALLER), {LABEL: "mine"}, "mine")],
)
def test_a_call_without_a_trace_begins_one_and_a_label_comes_before_it(
    recorded: Recorded, tmp_path: Path, traceparent: str, labels: dict[str, str], expected: str | None
) -> None:
    with in_process(tmp_path) as api:
        asked = replace(api, app=create_app(replace(api.bundle, tracing=recorded), api.producers))
        body = {"template": "metadata-only", "labels": labels}
        answer = asked.ask("POST", "/api/simulator/runs", json=body, headers={"traceparent": traceparent})
        refused = asked.ask("POST", "/api/simulator/runs", json={"template": "nobody's"})
    call = recorded.the("POST")
    trace, span = identity(call)
    assert answer.json()["labels"] == {LABEL: expected or f"00-{trace:032x}-{span:016x}-01"}
    assert refused.status_code == 404  # and has no span
    assert (parent(call) is None) is (expected is None)


def test_without_tracing_a_run_has_no_label_of_it(tmp_path: Path) -> None:
    with in_process(tmp_path) as api:
        headers = {"traceparent": str(CALLER)}
        answer = api.ask("POST", "/api/simulator/runs", json={"template": "metadata-only"}, headers=headers)
    assert answer.json()["labels"] == {}


def test_a_retry_is_another_job_of_the_same_order(traced: World, recorded: Recorded) -> None:
    traced.steps.steps["SEND_DICOM"] = really_sending(traced, recorded, fails_first=True)
    traced.run_to_end(traced.start(orders=1, steps=[*STEPS[:2], STEPS[2] | {"retry": RETRY}]))
    failed, done = recorded.named("process")
    assert parent(failed) == parent(done) == identity(recorded.the("emit order"))
    assert [attributes(job)["yeeter.job.outcome"] for job in (failed, done)] == ["retried", "succeeded"]
    assert [error_of(job) for job in (failed, done)] == ["TemporaryError", None]
    assert [error_of(step) for step in recorded.named("SEND_DICOM")] == ["TemporaryError", None]
    assert [error_of(store) for store in recorded.named("C-STORE")] == ["failed", None]
    assert len(recorded.named("publish")) == 2


def test_a_redelivered_job_belongs_to_the_same_order(traced: World, recorded: Recorded) -> None:
    """The first worker claims and is gone before it finishes: its message comes again."""
    hanging, release = threading.Event(), threading.Event()

    def hang(context: StepContext) -> StepResult:
        if not hanging.is_set():
            hanging.set()
            release.wait(20)
        return generated(context)

    traced.steps.steps["GENERATE_DICOM"].act = hang
    producing = Producing(traced, traced.start(orders=1))
    lost, other = traced.worker(name="lost"), traced.worker(name="other")
    lost.start()
    assert hanging.wait(10)
    lost.stop(grace=0.05)
    other.start()
    producing.wait()
    release.set()
    assert other.stop(5)
    [job] = [span for span in recorded.named("process") if attributes(span)["yeeter.worker"] == "other"]
    assert attributes(job)["yeeter.job.redelivered"] is True and attributes(job)["yeeter.job.starts"] == 2
    assert parent(job) == identity(recorded.the("emit order"))
    assert len(recorded.trace_ids()) == 1


def test_a_job_that_was_given_up_is_told_of_once_though_it_ends_after_all(traced: World, recorded: Recorded) -> None:
    release = threading.Event()

    def hang(context: StepContext) -> StepResult:
        release.wait(20)
        return generated(context)

    traced.steps.steps["GENERATE_DICOM"].act = hang
    once = {"timeout": 0.1, "retry": RETRY | {"max_attempts": 1}}
    run = traced.start(orders=1, steps=[STEPS[0], STEPS[1] | once])
    worker = traced.worker(step_grace=0.1)
    worker.start()
    traced.producer(run).produce()
    job = recorded.the("process")
    assert error_of(job) == "DidNotEnd" and not recorded.named("GENERATE_DICOM")
    release.set()
    wait_until(lambda: bool(recorded.named("GENERATE_DICOM")), 20, "the step ends")
    worker.stop(5)
    wait_until(lambda: worker.hands_lost == 0, 20, "its hand ends")
    assert identity(recorded.the("process")) == identity(job)


@pytest.mark.parametrize("transactions", [4, 12])
def test_a_producer_that_takes_over_goes_on_in_the_trace(traced: World, recorded: Recorded, transactions: int) -> None:
    run = traced.start(orders=5)
    die_after(traced, run, transactions)
    ended = run_to_end(traced, run)
    assert ended.state is RunState.COMPLETED
    assert len(recorded.trace_ids()) == 1
    assert {parent(order) for order in recorded.named("emit order")} == {identity(recorded.the("run"))}


def test_an_order_that_is_rejected_is_an_error(traced: World, recorded: Recorded) -> None:
    world = replace(traced, sender=FakeOrderSender(lambda order: REJECTED))
    world.run_to_end(world.start(orders=1))
    assert error_of(recorded.the("emit order")) == "rejected"
    assert attributes(recorded.the("emit order"))["yeeter.hl7.code"] == "AR"


def test_a_share_of_the_orders_is_recorded_and_the_run_with_any(traced: World) -> None:
    half = Recorded(ParentBased(TraceIdRatioBased(0.5)))
    world = replace(traced, tracing=half)
    world.run_to_end(world.start(orders=40))
    orders, jobs = half.named("emit order"), half.named("process")
    assert 5 < len(orders) < 35  # by the numbers' hashes: beyond that once in a million runs
    assert {parent(job) for job in jobs} == {identity(order) for order in orders}
    assert len(half.named("publish")) == len(jobs) == len(orders) and half.the("run")


@pytest.mark.parametrize(
    ("sampler", "context"),
    [(ALWAYS_OFF, CALLER), (TraceIdRatioBased(0.0), CALLER), (ParentBased(ALWAYS_OFF), None)],
)
def test_nothing_is_recorded_where_nothing_is_to_be(
    traced: World, sampler: ParentBased, context: TraceContext | None
) -> None:
    nothing = Recorded(sampler)
    world = replace(traced, tracing=nothing)
    world.run_to_end(world.start(orders=1) if context is None else labelled(world, context))
    assert not nothing.spans


def test_a_caller_that_is_not_sampled_has_no_run_that_is(traced: World) -> None:
    nothing = Recorded(ParentBased(TraceIdRatioBased(1.0)))
    world = replace(traced, tracing=nothing)
    world.run_to_end(labelled(world, replace(CALLER, sampled=False)))
    assert not nothing.spans


class Listening(InProcessBroker):
    """Takes note of what is published."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: list[Message] = []

    def publish(self, messages: list[Message]) -> None:  # type: ignore[override]
        self.messages += messages
        super().publish(messages)


@pytest.mark.parametrize("is_traced", [True, False])
def test_body_and_headers_of_a_message_carry_the_order_s_context(traced: World, is_traced: bool) -> None:
    broker = Listening()
    broker.declare([QUEUE])
    recorded = Recorded()
    world = replace(traced, broker=broker, tracing=recorded if is_traced else None)
    world.run_to_end(world.start(orders=1))
    [message] = broker.messages
    document = json.loads(message.body)
    if not is_traced:
        assert message.traceparent == "" and "traceparent" not in document
        return
    trace, span = identity(recorded.the("emit order"))
    assert message.traceparent == document["traceparent"] == f"00-{trace:032x}-{span:016x}-01"


def error_of(span: ReadableSpan) -> object:
    """The kind of error that it ended with."""
    assert span.status.is_ok is ("error.type" not in attributes(span))
    return attributes(span).get("error.type")


PROGRAM = """
import sys
import app.producer.__main__, app.worker.program
from app.adapters.tracing import open_tracing
assert open_tracing("") is None
print(*[name for name in sys.modules if "opentelemetry" in name and not name.startswith("app.")])
"""
SWITCHED_OFF = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_SDK_DISABLED": "true"}


def test_switched_off_nothing_is_even_imported() -> None:
    project = str(Path(__file__).resolve().parents[2])
    command, environment = [sys.executable, "-c", PROGRAM], {"PYTHONPATH": project, **SWITCHED_OFF}
    told = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=120)
    assert told.stdout.strip() == ""
