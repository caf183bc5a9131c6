"""``yeeter bench``: what is measured is shown, stored and listed."""

from __future__ import annotations

import csv
import signal
from pathlib import Path

import pytest

from tests.cli.conftest import RealProgram, Yeeter
from tests.services.processes import wait_until


def test_orders_are_sent_to_a_receiver_and_the_row_is_kept(yeeter: Yeeter, tmp_path: Path) -> None:
    measured = yeeter("bench", "hl7", "--messages", 200, "--connections", 2, "--csv", "hl7.csv", "--json")
    assert measured.code == 0, measured.err
    (row,) = measured.json
    assert (row["messages"], row["accepted"], row["refused"], row["connections"]) == (200, 200, 0, 2)
    assert 0 < row["ack_seconds"]["p50"] <= row["ack_seconds"]["p99"]
    with (tmp_path / "hl7.csv").open(newline="") as file:
        (line,) = csv.DictReader(file)
    assert (line["messages"], line["ack_seconds.p50"]) == ("200", str(row["ack_seconds"]["p50"]))
    assert yeeter("runs", "list", "--json").json == []

    (kept,) = yeeter("bench", "list", "--suite", "hl7", "--json").json
    assert kept["figures"]["messages_per_second"] == row["messages_per_second"]
    assert kept["command"] == "yeeter bench hl7 metadata-only --messages 200 --connections 2"
    assert kept["machine"]["cores"] and kept["machine"]["database"].startswith("SQLite ")
    assert yeeter("bench", "list", "--suite", "matrix", "--json").json == []
    shown = yeeter("bench", "list", "--csv", "all.csv")
    assert kept["command"] in shown.out
    assert "figures.ack_seconds.p95" in (tmp_path / "all.csv").read_text()


def test_a_suite_that_is_not_there_is_told(yeeter: Yeeter) -> None:
    result = yeeter("bench", "list", "--suite", "nope")
    assert (result.code, result.out) == (2, "")
    assert "'nope' is not one of 'matrix', 'pipeline', 'hl7'" in result.errors[0]


def test_a_receiver_that_is_away_is_told(yeeter: Yeeter) -> None:
    result = yeeter("bench", "hl7", "--messages", 3, "--hl7", "127.0.0.1:1")
    assert (result.code, result.out) == (1, "")
    assert result.errors[0].startswith("the receiver can't be reached: ")


def test_a_template_that_is_not_there_is_told_before_anything_is_launched(
    yeeter: Yeeter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RABBITMQ_URL", "amqp://127.0.0.1:1/")
    result = yeeter("bench", "matrix", "absent", "--hl7", "127.0.0.1:1", "--pacs", "A@127.0.0.1:1")
    assert (result.code, result.errors) == (1, ["no template 'absent'; `yeeter templates list` shows them"])


def test_a_launch_over_a_broker(program: RealProgram, amqp_url: str) -> None:
    command = ("bench", "matrix", "--orders", 20, "--workers", 1, "--concurrency", 2, "--json")
    measured = program(*command, RABBITMQ_URL=amqp_url)
    assert measured.code == 0, measured.err
    assert measured.err.startswith("[1/1] metadata-only: 20 orders, 1 workers, prefetch 256, concurrency 2\n")
    (row,) = measured.json
    assert (row["orders"], row["concurrency"], row["pacs"]) == (20, 2, "built-in")
    assert (row["problem"], row["status"], row["missing"]) == ("", "COMPLETED", 0)
    assert row["orders_per_second"] > 0 and row["emitted_per_second"] > 0
    assert row["producer_mib"] > 1 and row["workers_cpu_ms_per_order"] >= 0
    assert set(row["latency_seconds"]["hl7_ack"]) == {"p50", "p95", "p99"}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_who_ends_a_measurement_ends_what_it_launched(
    number: signal.Signals, program: RealProgram, yeeter: Yeeter, amqp_url: str
) -> None:
    command = ("bench", "matrix", "--orders", 50_000, "--workers", 1)
    with program.start(*command, RABBITMQ_URL=amqp_url) as measuring:
        wait_until(lambda: _states(yeeter) == ["RUNNING"], 60, "the run")
        measuring.signal(number)
        measuring.wait(60)
    assert "Traceback" not in measuring.output
    assert _states(yeeter) == ["CANCELLED"]


def _states(yeeter: Yeeter) -> list[str]:
    listed = yeeter("runs", "list", "--json")
    return [run["state"] for run in listed.json] if listed.code == 0 else []
