"""``yeeter run`` in one process, as the real program: what it says, and its exit codes."""

from __future__ import annotations

import json
import signal
from contextlib import ExitStack
from pathlib import Path
from xml.etree import ElementTree

import pytest

from app.domain.threshold import STANDING_THRESHOLDS
from tests.cli.conftest import RealProgram, Yeeter
from tests.services.http import listening
from tests.services.processes import Program, free_port, wait_until

READY = r'"port": (\d+)'


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, object]]:
    """A folder with a run of 20 orders in it, and the run's summary."""
    folder = tmp_path_factory.mktemp("finished")
    with listening() as hook:
        result = RealProgram(folder)(
            *("run", "metadata-only", "--orders", "20", "--seed", "7", "--run-key", "7K3QX0AB", "--connections", "2"),
            *("--label", "build=17", "--threshold", "hl7_ack.p95 < 1m", "--workers", "2", "--summary", "summary.json"),
            *("--junit", "junit.xml", "--set", f"webhook.url={hook.url}", "--json"),
        )
    assert result.code == 0, result.err
    assert json.loads((folder / "summary.json").read_text()) == result.json
    assert "\x1b" not in result.out + result.err
    assert [asked.body["summary"] for asked in hook.asked] == [result.json]
    assert f"the webhook http://127.0.0.1:{hook.port} was told of the run's end: it answered 204\n" in result.err
    assert result.err.startswith("run 7K3QX0AB: 20 orders of metadata-only, seed 7\n")
    assert "[info" not in result.err
    return folder, result.json


@pytest.fixture
def of_finished(finished: tuple[Path, dict[str, object]], yeeter: Yeeter, monkeypatch: pytest.MonkeyPatch) -> Yeeter:
    """Commands in the folder of the finished run."""
    monkeypatch.chdir(finished[0])
    return yeeter


def test_the_summary_has_the_whole_contract(finished: tuple[Path, dict[str, object]]) -> None:
    summary = finished[1]
    own = {"run_id", "run_key", "status", "verdict", "seed", "wall_seconds"}
    groups = {"orders", "hl7", "dicom", "jobs", "reconciliation", "rates", "latency_seconds", "workers", "thresholds"}
    assert own | groups <= summary.keys()
    assert (summary["status"], summary["verdict"]) == ("COMPLETED", "pass")
    assert summary["orders"] == {
        **dict.fromkeys(("requested", "emitted", "acknowledged", "completed"), 20),
        **dict.fromkeys(("failed", "cancelled", "not_emitted"), 0),
    }


def test_the_junit_file_has_a_test_for_each_threshold(finished: tuple[Path, dict[str, object]]) -> None:
    folder, summary = finished
    suite = ElementTree.parse(folder / "junit.xml").getroot().find("testsuite")
    assert suite is not None
    _, *thresholds = [case.attrib["name"] for case in suite.iter("testcase")]
    assert thresholds == [*STANDING_THRESHOLDS, "hl7_ack.p95 < 1m"]
    assert {each.attrib["name"]: each.attrib["value"] for each in suite.iter("property")} == {
        "run_id": summary["run_id"],
        "run_key": "7K3QX0AB",
        "seed": "7",
        "template": "metadata-only",
        "state": "COMPLETED",
        "verdict": "pass",
    }


def test_what_there_is_to_see_of_a_run(of_finished: Yeeter) -> None:
    (listed,) = of_finished("runs", "list", "--state", "completed", "--json").json
    assert (listed["run_key"], listed["labels"], listed["verdict"]) == ("7K3QX0AB", {"build": "17"}, "pass")
    assert of_finished("runs", "list", "--template", "ct-chest", "--json").json == []
    assert of_finished("runs", "show", listed["id"], "--json").json["document"]["orders"] == 20
    assert "PASS  run 7K3QX0AB  metadata-only  20 of 20 orders completed" in of_finished("runs", "show", "7k3qx0ab").out
    assert of_finished("runs", "findings", "7K3QX0AB", "--json").json == []
    metrics = of_finished("runs", "metrics", "7K3QX0AB", "--json").json
    assert metrics["orders"]["completed"] == 20
    assert "order_to_stored" in of_finished("runs", "metrics", "7K3QX0AB").out


def test_what_there_is_to_see_of_an_order(of_finished: Yeeter) -> None:
    rows = of_finished("orders", "list", "7K3QX0AB", "--json").json
    assert [row["number"] for row in rows] == list(range(20))
    (found,) = of_finished("orders", "list", "7K3QX0AB", "--search", rows[3]["accession"], "--json").json
    assert found == rows[3]
    assert of_finished("orders", "list", "7K3QX0AB", "--state", "failed", "--json").json == []

    order = of_finished("orders", "show", "7K3QX0AB", "3", "--json").json
    assert rows[3].items() <= order.items()
    assert order["acknowledgement"]["code"] == "AA"
    shown = of_finished("orders", "show", "7K3QX0AB", "3").out
    for text in ("MSH|^~\\&|", "MSA|AA|", order["study_uid"], order["study"]["series"][0]["series_uid"], "SEND_DICOM"):
        assert text in shown


def test_events_can_be_read_in_parts_and_followed_to_the_end(of_finished: Yeeter) -> None:
    events = of_finished("events", "7K3QX0AB", "--limit", "1000", "--json").json
    assert events[0]["data"] == {"state": "PENDING"}
    first = of_finished("runs", "events", "7K3QX0AB", "--limit", "5", "--json").json
    rest = of_finished("events", "7K3QX0AB", "--after", first[-1]["cursor"], "--follow", "--json")
    assert first + [json.loads(line) for line in rest.out.splitlines()] == events
    assert len(of_finished("events", "7K3QX0AB", "--limit", "5").out.splitlines()) == 5
    assert of_finished("events", "7K3QX0AB", "--after", "x").code == 2


def test_a_run_that_has_ended_can_be_deleted_and_not_cancelled(program: RealProgram, yeeter: Yeeter) -> None:
    """Its destination can't be reached: the run FAILED, with the reason in one line."""
    address = f"127.0.0.1:{free_port()}"
    failed = program("run", "metadata-only", "--orders", "5", "--hl7", address)
    assert failed.code == 1
    first, second, *_ = failed.out.splitlines()
    assert first.startswith("FAILED  run ")
    assert second.strip().startswith(f"HL7 destination {address} can't be reached: Connection refused")

    (run,) = yeeter("runs", "list", "--json").json
    cancelled = yeeter("runs", "cancel", run["run_key"])
    assert (cancelled.code, len(cancelled.errors)) == (1, 1)
    assert yeeter("runs", "delete", run["run_key"]).code == 0
    assert yeeter("runs", "list", "--json").json == []


def test_receivers_that_lie_are_found_out_and_the_orders_named(
    program: RealProgram, running: ExitStack, tmp_path: Path
) -> None:
    ledger = tmp_path / "ledger.jsonl"
    mllp, _ = receiver(program, running, "mllp", "--drop", 3, "--duplicate", 2, "--swap-patient", 1, "--ledger", ledger)
    dicom, program_ = receiver(program, running, "dicom", "--drop", 3, "--keep", tmp_path / "kept")
    assert "receiver is ready" in program_.output
    where = ("--hl7", f"127.0.0.1:{mllp}", "--pacs", f"YEETER@127.0.0.1:{dicom}")
    result = program(
        *("run", "metadata-only", "--orders", "40", *where),
        *("--threshold", "hl7_ack.max < 0ms"),
        YEETER_RECONCILE_DEADLINE="0",
    )
    assert result.code == 99
    lines = [line.split() for line in result.out.splitlines()]
    assert lines[0][0] == "FAIL"
    findings = {(line[2], line[3], line[0]) for line in lines if len(line) > 4 and line[3] in ("hl7", "dicom")}
    counted = [(kind, source) for kind, source, _ in findings]
    assert counted.count(("missing", "dicom")) == counted.count(("missing", "hl7")) == 3
    assert counted.count(("duplicated", "hl7")) == 2
    assert counted.count(("mismatched", "hl7")) == 1
    assert any(line[:4] == ["hl7_ack.max", "<", "0ms", "is"] for line in lines)
    assert len(ledger.read_text().splitlines()) > 30
    assert len([path for path in (tmp_path / "kept").rglob("*") if path.is_file()]) == 40 - 3


def test_an_interrupt_cancels_cleanly(program: RealProgram, running: ExitStack, yeeter: Yeeter) -> None:
    run = running.enter_context(program.start("run", "metadata-only", "--orders", "5000", "--rate", "50"))
    run.wait_for_line("sending orders: [1-9]")
    run.signal(signal.SIGINT)
    run.wait_for_line("cancelling: what is under way is finished and reconciled; press again to stop at once")
    assert run.wait(60) == 130
    assert "CANCELLED  run " in run.output and "Traceback" not in run.output
    (row,) = yeeter("runs", "list", "--json").json
    orders = yeeter("runs", "metrics", row["run_key"], "--json").json["orders"]
    assert row["state"] == "CANCELLED"
    assert orders["not_emitted"] > 4000
    assert orders["requested"] == sum(orders[name] for name in ("completed", "failed", "cancelled", "not_emitted"))


def test_a_second_interrupt_ends_at_once(program: RealProgram, running: ExitStack, yeeter: Yeeter) -> None:
    """The receiver takes its time, so that a clean end would too; SIGTERM is an interrupt as well."""
    port, mllp = receiver(program, running, "mllp", "--delay-ms", 9000, "--show")
    command = ("run", "metadata-only", "--orders", "8", "--hl7", f"127.0.0.1:{port}")
    run = running.enter_context(program.start(*command, YEETER_LEASE_SECONDS="2"))
    mllp.wait_for_line("MSH")
    run.signal(signal.SIGTERM)
    run.wait_for_line("cancelling: ")
    run.signal(signal.SIGTERM)
    assert run.wait(5) == 130
    (row,) = yeeter("runs", "list", "--json").json
    assert row["state"] == "CANCELLING"
    # Nobody runs it any more: once its lease has run out, another cancel ends it.
    wait_until(
        lambda: yeeter("runs", "cancel", row["id"], "--json").json["state"] == "FAILED", 10, "the end of the run"
    )
    assert yeeter("runs", "delete", row["id"]).code == 0


def receiver(program: RealProgram, running: ExitStack, kind: str, *options: object) -> tuple[str, Program]:
    """A built-in receiver on a free port; its port, and the program."""
    started = running.enter_context(program.start("receive", kind, "--port", 0, *options))
    port = started.wait_for_line(READY)[1]
    started.wait_for_line("receiver is ready")
    return port, started
