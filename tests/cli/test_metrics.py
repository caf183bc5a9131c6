"""Figures, reports and comparisons on the command line: the local database and a server say the same."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.cli.exit_codes import PASS
from tests.cli.conftest import RealProgram, Yeeter

FIRST, SECOND = "7K3QX0AB", "7K3QX0CD"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where two runs have ended."""
    folder = tmp_path_factory.mktemp("figures")
    program = RealProgram(folder)
    common = ("run", "metadata-only", "--threshold", "hl7_ack.p90 < 60s")
    files = ("--report", "report.html", "--metrics", "metrics.csv", "--summary", "summary.json")
    assert program(*common, "--orders", 30, "--run-key", FIRST, *files).code == PASS
    assert program(*common, "--orders", 15, "--run-key", SECOND).code == PASS
    return folder


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[str]:
    with RealProgram(folder).start("serve", "--port", "0") as program:
        yield program.wait_for_line(r"serving.*url=(\S+)")[1]


@pytest.fixture
def both(folder: Path, server: str, yeeter: Yeeter, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Asks both of them, who must agree; the one answer."""
    monkeypatch.chdir(folder)

    def ask(*arguments: object) -> Any:
        here, there = (yeeter(*arguments, *where) for where in ((), ("--server", server)))
        assert (here.code, there.code) == (PASS, PASS), (here.err, there.err)
        assert here.out == there.out
        return here

    return ask


def table(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_a_run_writes_its_report_and_its_figures(folder: Path) -> None:
    summary = json.loads((folder / "summary.json").read_text())
    figures = {row["figure"]: float(row["value"]) for row in table((folder / "metrics.csv").read_text())}
    assert figures["orders.completed"] == summary["orders"]["completed"] == 30
    assert figures["latency_seconds.c_store.p95"] == summary["latency_seconds"]["c_store"]["p95"]
    report = (folder / "report.html").read_text()
    assert "<strong>PASS</strong>" in report and FIRST in report and "hl7_ack.p90 &lt; 60s" in report
    assert summary["environment"]["cores"] >= 1


def test_runs_and_workers_with_their_figures(both: Any) -> None:
    rows = both("metrics", "runs", "--json").json
    assert [(row["run_key"], row["figures"]["orders.completed"]) for row in rows] == [(SECOND, 15), (FIRST, 30)]
    both("metrics", "runs", "--template", "metadata-only", "--state", "completed")
    assert both("metrics", "runs", "--until", "2000-01-01T00:00:00", "--json").json == []
    shares = both("metrics", "workers", "--run", FIRST, "--json").json
    assert sum(share["jobs"] for share in shares) == 30
    assert both("metrics", "workers", "--since", "2000-01-01T00:00:00Z", "--json").json


def test_stages_and_intervals_of_a_run(both: Any) -> None:
    stages = both("metrics", "stages", FIRST, "--json").json
    assert {stage["stage"]: stage["count"] for stage in stages}["hl7_ack"] == 30
    intervals = both("metrics", "intervals", FIRST, "--json").json
    assert sum(interval["completed"] for interval in intervals) == 30
    rows = table(both("metrics", "intervals", FIRST, "--csv", "-").out)
    assert [int(row["completed"]) for row in rows] == [interval["completed"] for interval in intervals]
    rows = table(both("metrics", "stages", FIRST, "--csv", "-").out)
    assert [row["stage"] for row in rows] == [stage["stage"] for stage in stages]


def test_two_runs_are_compared(both: Any, folder: Path) -> None:
    comparison = both("compare", FIRST, SECOND, "--json", "--html", "comparison.html").json
    [orders] = [figure for figure in comparison["figures"] if figure["figure"] == "orders.completed"]
    assert (orders["before"], orders["after"], orders["change"]) == (30, 15, -0.5)
    assert f"{FIRST} and {SECOND} compared" in (folder / "comparison.html").read_text()
    assert "orders.completed" in both("compare", FIRST, SECOND).out
    assert "reconciliation.missing" in both("compare", FIRST, FIRST, "--all").out
    assert both("compare", FIRST, FIRST).out.rstrip().endswith("none")


def test_a_report_is_written_later(both: Any, folder: Path) -> None:
    both("runs", "report", SECOND, "later.html")
    assert SECOND in (folder / "later.html").read_text()


@pytest.mark.parametrize(
    ("command", "told"),
    [
        (("compare", FIRST, "nothing"), "no run 'nothing'"),
        (("runs", "report", "nothing", "r.html"), "no run 'nothing'"),
        (("metrics", "stages", "nothing"), "no run 'nothing'"),
        (("metrics", "runs", "--since", "yesterday"), "--since: 'yesterday' is not a moment"),
        (("runs", "report", FIRST, "no/such/folder.html"), "no/such/folder.html: No such file or directory"),
    ],
)
def test_what_is_wrong_is_said_in_a_line(
    folder: Path, server: str, yeeter: Yeeter, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...], told: str
) -> None:
    monkeypatch.chdir(folder)
    for where in ((), ("--server", server)):
        result = yeeter(*command, *where)
        assert result.code != PASS
        assert [error.startswith(told) for error in result.errors] == [True], result.err
