"""A run over RabbitMQ: workers that start and end with it, and what is said when there are none."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from tests.cli.conftest import RealProgram, Yeeter
from tests.cli.test_run import receiver


def test_worker_processes_start_and_end_with_the_run(program: RealProgram, running: ExitStack, amqp_url: str) -> None:
    mllp, _ = receiver(program, running, "mllp")
    dicom, _ = receiver(program, running, "dicom")
    command = ("run", "split-queues", "--orders", "40", "--set", "study.preset=single", "--set", "study.pixels=tiny")
    where = ("--hl7", f"127.0.0.1:{mllp}", "--pacs", f"YEETER@127.0.0.1:{dicom}")

    result = program(*command, *where, "--workers", "2", "--json", RABBITMQ_URL=amqp_url)
    assert result.code == 0, result.err
    assert result.json["orders"]["completed"] == 40
    assert len(result.json["workers"]) == 2
    assert "warning" not in result.err and "a worker ended" not in result.err

    alone = running.enter_context(program.start(*command, *where, RABBITMQ_URL=amqp_url))
    alone.wait_for_line("no worker takes jobs from generate_dicom: start `yeeter worker --queues generate_dicom`")
    worker = program.start("worker", "--queues", "generate_dicom,send_dicom", RABBITMQ_URL=amqp_url)
    running.enter_context(worker)
    assert alone.wait(60) == 0


def test_what_a_run_over_a_broker_needs(yeeter: Yeeter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RABBITMQ_URL", "amqp://127.0.0.1:1/")
    nowhere = yeeter("run", "metadata-only")
    assert nowhere.code == 2
    assert [line.partition(":")[0] for line in nowhere.errors] == ["destinations.hl7", "destinations.dicom"]

    away = yeeter("run", "metadata-only", "--hl7", "127.0.0.1:1", "--pacs", "A@127.0.0.1:1")
    assert (away.code, len(away.errors)) == (1, 1)
    assert away.errors[0].startswith("RabbitMQ at 127.0.0.1:1")
    (run,) = yeeter("runs", "list", "--json").json
    assert (run["state"], run["reason"]) == ("FAILED", away.errors[0])
