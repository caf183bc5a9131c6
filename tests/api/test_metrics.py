"""Figures over REST: JSON, CSV and summary say the same."""

from __future__ import annotations

import csv
import io
from typing import Any

import httpx
import pytest

from tests.api.conftest import RUNS
from tests.api.test_problems import check_problem

AGES_AGO = "2000-01-01T00:00:00Z"


def table(response: httpx.Response) -> list[dict[str, str]]:
    assert response.status_code == 200, response.text
    assert response.headers["content-type"].startswith("text/csv")
    return list(csv.DictReader(io.StringIO(response.text)))


def flat(document: dict[str, Any], path: str = "") -> dict[str, float]:
    """All numbers of a document, by their paths."""
    found: dict[str, float] = {}
    for name, value in document.items():
        if isinstance(value, dict):
            found |= flat(value, f"{path}{name}.")
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            found[f"{path}{name}"] = value
    return found


def figures_of(summary: dict[str, Any]) -> dict[str, float]:
    """Those that have a path of their own, without what describes the machine."""
    return {path: value for path, value in flat(summary | {"environment": {}}).items() if "." in path}


def test_a_summary_as_a_table(http: httpx.Client, ended_run: dict[str, Any]) -> None:
    url = f"{RUNS}/{ended_run['id']}/metrics"
    figures = figures_of(http.get(url).json())
    rows = table(http.get(url, params={"format": "csv"}))
    assert {row["figure"]: float(row["value"]) for row in rows} == figures


def test_the_detail_of_a_run_agrees_with_its_summary_and_its_tables(
    http: httpx.Client, ended_run: dict[str, Any]
) -> None:
    url = f"{RUNS}/{ended_run['id']}/metrics"
    summary, detail = http.get(url).json(), http.get(f"{url}/detail").json()
    stages = {stage["stage"]: stage for stage in detail["stages"]}
    for stage, figures in summary["latency_seconds"].items():
        assert {name: stages[stage][name] for name in figures} == figures
    assert sum(interval["completed"] for interval in detail["intervals"]) == summary["orders"]["completed"] == 12
    assert sum(worker["jobs"] for worker in detail["workers"]) == summary["jobs"]["succeeded"]

    rows = table(http.get(f"{url}/stages.csv"))
    assert [float(row["p95"]) for row in rows] == [stage["p95"] for stage in detail["stages"]]
    rows = table(http.get(f"{url}/intervals.csv"))
    assert [int(row["completed"]) for row in rows] == [interval["completed"] for interval in detail["intervals"]]
    assert any(row["hl7_ack.p95"] for row in rows)
    [row] = table(http.get(f"{url}/workers.csv"))
    assert (row["run_key"], int(row["jobs"])) == (ended_run["run_key"], 12)
    check_problem(http.get(f"{url}/nonsense.csv"), 422)


def test_runs_with_their_figures(http: httpx.Client, ended_run: dict[str, Any]) -> None:
    summary = http.get(f"{RUNS}/{ended_run['id']}/metrics").json()
    runs = http.get("/api/metrics/runs", params={"template": ended_run["template_name"]}).json()["items"]
    [found] = [run for run in runs if run["run_id"] == ended_run["id"]]
    assert found["figures"] == figures_of(summary)
    assert (found["verdict"], found["wall_seconds"]) == ("pass", summary["wall_seconds"])
    rows = table(http.get("/api/metrics/runs", params={"format": "csv"}))
    [row] = [row for row in rows if row["run_id"] == ended_run["id"]]
    assert float(row["orders.completed"]) == 12
    assert float(row["latency_seconds.hl7_ack.p95"]) == summary["latency_seconds"]["hl7_ack"]["p95"]


def test_workers_with_what_they_did(http: httpx.Client, ended_run: dict[str, Any]) -> None:
    of_run = {"run": ended_run["run_key"]}
    [share] = http.get("/api/metrics/workers", params=of_run).json()["items"]
    assert (share["run_id"], share["template"], share["jobs"]) == (ended_run["id"], "metadata-only", 12)
    [row] = table(http.get("/api/metrics/workers", params=of_run | {"format": "csv"}))
    assert (row["worker"], float(row["busy_seconds"])) == (share["worker"], share["busy_seconds"])
    named = http.get("/api/metrics/workers", params={"worker": "nobody"}).json()
    assert named == {"items": [], "next_cursor": None}


@pytest.mark.parametrize("path", ["/api/metrics/runs", "/api/metrics/workers"])
def test_a_period_is_heeded(http: httpx.Client, ended_run: dict[str, Any], path: str) -> None:
    assert http.get(path, params={"since": AGES_AGO}).json()["items"]
    assert not http.get(path, params={"until": AGES_AGO}).json()["items"]
    assert not http.get(path, params={"until": "2000-01-01T00:00:00"}).json()["items"]
    check_problem(http.get(path, params={"since": "yesterday"}), 422)


def test_figures_of_a_run_that_is_not_there(http: httpx.Client) -> None:
    for path in (f"{RUNS}/no-such/metrics/detail", f"{RUNS}/no-such/metrics/stages.csv"):
        check_problem(http.get(path), 404)
    check_problem(http.get("/api/metrics/workers", params={"run": "no-such"}), 404)


def test_a_report_and_a_comparison_are_pages_that_may_load_nothing(
    http: httpx.Client, ended_run: dict[str, Any]
) -> None:
    url = f"{RUNS}/{ended_run['id']}"
    for path in (f"{url}/report", f"{url}/comparison/{ended_run['run_key']}?format=html"):
        page = http.get(path)
        assert page.headers["content-type"].startswith("text/html")
        assert page.headers["content-security-policy"].startswith("default-src 'none'")
        assert ended_run["run_key"] in page.text
    comparison = http.get(f"{url}/comparison/{ended_run['run_key']}").json()
    assert {figure["effect"] for figure in comparison["figures"]} == {"same"}
    check_problem(http.get(f"{url}/comparison/no-such"), 404)
    check_problem(http.get(f"{RUNS}/no-such/report"), 404)
