"""``yeeter runs pause`` and ``resume``: in the process that has the run, and for a run whose process is gone."""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path

from app.adapters.database import SqlDatabase
from tests.cli.conftest import RealProgram, Yeeter
from tests.services.processes import Program, wait_until

RUN_KEY = "7K3QX0AB"
ORDERS = 120


def start(program: RealProgram, running: ExitStack, lease: int = 2) -> Program:
    """A run that has begun, and goes on for some seconds."""
    arguments = ("run", "metadata-only", "--orders", ORDERS, "--rate", 20, "--run-key", RUN_KEY)
    run = running.enter_context(program.start(*arguments, YEETER_LEASE_SECONDS=str(lease)))
    run.wait_for_line("sending orders: [1-9]", 120)
    return run


def test_a_run_whose_process_was_killed_goes_on_in_another_one(
    program: RealProgram, running: ExitStack, yeeter: Yeeter, tmp_path: Path
) -> None:
    """With the orders and studies that its receivers had; they were processes of the one that is gone."""
    start(program, running).kill()
    assert yeeter("runs", "list", "--json").json[0]["state"] == "RUNNING"
    wait_until(lambda: not _is_held(tmp_path), 120, "the end of the lease")
    other = program("run", "metadata-only", "--orders", "1")
    assert other.code == 0
    assert other.err.count(f"interrupted: {RUN_KEY}; `yeeter runs resume {RUN_KEY}` goes on with it") == 1

    resumed = program("runs", "resume", RUN_KEY, "--summary", "summary.json", "--json")
    assert resumed.code == 0, resumed.err
    assert f"run {RUN_KEY}: {ORDERS} orders of metadata-only" in resumed.err
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert resumed.json == summary
    assert (summary["status"], summary["verdict"]) == ("COMPLETED", "pass")
    assert summary["orders"]["completed"] == summary["orders"]["emitted"] == ORDERS
    assert summary["reconciliation"]["method"] == "c-find+ledger"
    assert summary["reconciliation"]["checked"] == ORDERS

    again = yeeter("runs", "resume", RUN_KEY)
    assert (again.code, again.errors) == (1, [f"run {RUN_KEY} has ended: it is COMPLETED"])
    ledgers = tmp_path / ".yeeter" / "runs" / summary["run_id"]
    assert {path.name for path in ledgers.iterdir()} >= {"mllp.jsonl", "dicom.jsonl"}
    assert yeeter("runs", "delete", RUN_KEY).code == 0
    assert not ledgers.exists()


def _is_held(folder: Path) -> bool:
    database = SqlDatabase(f"sqlite:///{folder / '.yeeter' / 'yeeter.db'}")
    try:
        with database.transaction() as work:
            return work.leases.remaining(work.runs.get(RUN_KEY).id) > 0
    finally:
        database.close()


def test_a_run_is_paused_and_resumed_while_its_process_lives(
    program: RealProgram, running: ExitStack, yeeter: Yeeter
) -> None:
    run = start(program, running)
    paused = yeeter("runs", "pause", RUN_KEY)
    assert paused.code == 0, paused.err
    assert paused.err == f"run {RUN_KEY} is PAUSED; `yeeter runs resume {RUN_KEY}` has it go on\n"
    run.wait_for_line("paused: ", 120)
    resumed = yeeter("runs", "resume", RUN_KEY, "--json")
    assert (resumed.code, resumed.json["state"]) == (0, "RUNNING")
    assert run.wait(120) == 0, run.output
    ended = yeeter("runs", "pause", RUN_KEY)
    assert (ended.code, ended.errors) == (1, [f"run {RUN_KEY} has ended: it is COMPLETED"])


def test_a_run_that_another_process_runs_is_left_to_it(
    program: RealProgram, running: ExitStack, yeeter: Yeeter
) -> None:
    run = start(program, running)
    busy = yeeter("runs", "resume", RUN_KEY)
    assert (busy.code, busy.errors) == (1, [f"run {RUN_KEY} is RUNNING, and another process runs it"])
    assert run.running
