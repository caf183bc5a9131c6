"""A worker program sends its spans, of jobs that came over RabbitMQ, to a collector."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

from opentelemetry.sdk.trace import SpanProcessor

from app.adapters.broker.in_process import InProcessBroker
from app.adapters.broker.rabbitmq import RabbitMqBroker
from app.adapters.tracing.otlp import OtelTracing
from app.domain.run import RunState
from tests.runs.conftest import QUEUE, STEPS, World
from tests.runs.test_worker_program import broker, working
from tests.runs.tracing import Recorded, identity
from tests.services.collector import collecting

__all__ = ["broker"]


def test_a_worker_program_s_spans_reach_a_collector_in_the_run_s_trace(
    world: World, broker: RabbitMqBroker, tmp_path: Path, amqp_url: str
) -> None:
    broker.declare([QUEUE])
    recorded = Recorded(exchange="yeeter.jobs")
    world = replace(world, broker=broker, inline=InProcessBroker(), tracing=recorded)  # type: ignore[arg-type]
    run = world.start(orders=2, steps=STEPS[:2])
    variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": "", "OTEL_SERVICE_NAME": "a worker"}
    with collecting() as collector:
        variables["OTEL_EXPORTER_OTLP_ENDPOINT"] = collector.url
        with working(tmp_path, amqp_url, QUEUE, **variables) as worker:
            assert world.producer(run).produce().state is RunState.COMPLETED
            assert worker.terminate() == 0
    assert (
        sorted(span.name for span in collector.spans) == ["GENERATE_DICOM"] * 2 + [f"process yeeter.jobs:{QUEUE}"] * 2
    )
    assert collector.services == {"a worker"}
    jobs = [span for span in collector.spans if span.name.startswith("process")]
    orders = {identity(order) for order in recorded.named("emit order")}
    assert {(_number(job.trace_id), _number(job.parent_span_id)) for job in jobs} == orders


class Hanging(SpanProcessor):
    """As if the collector did not answer."""

    def __init__(self) -> None:
        self.answered = threading.Event()

    def shutdown(self) -> None:
        self.answered.wait(60)


def test_a_collector_that_does_not_answer_holds_up_no_program_s_end() -> None:
    processor = Hanging()
    OtelTracing("", processor, close_seconds=0.05).close()
    assert not processor.answered.is_set()
    processor.answered.set()


def _number(digits: bytes) -> int:
    return int.from_bytes(digits, "big")
