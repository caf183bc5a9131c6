"""Dead letters, queues and destinations over REST: read, tried again, discarded."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.api.conftest import RUNS, Server, running_server
from tests.api.test_problems import check_problem
from tests.steps.picky import REGISTERED, picky_template

ROOT = Path(__file__).resolve().parents[2]
LETTERS = "/api/admin/dead-letters"
REFUSED = {"1": "permanent", "3": "temporary", "4": "permanent", "6": "defect"}


@pytest.fixture(scope="module")
def picky_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    home = tmp_path_factory.mktemp("picky")
    with running_server(home, YEETER_STEP_TYPES=REGISTERED, PYTHONPATH=str(ROOT)) as running:
        yield running


def run_with_dead_jobs(server: Server, file: Path) -> dict[str, Any]:
    """A run of 8 orders that has ended; four of its jobs are dead."""
    file.write_text(json.dumps(REFUSED))
    run = server.start_run(template=picky_template(file, orders=8))
    ended = server.wait_for_end(run["id"])
    assert ended["state"] == "COMPLETED_WITH_ERRORS", ended
    return ended


def letters_of(server: Server, run: dict[str, Any], **query: Any) -> dict[int, dict[str, Any]]:
    """By the numbers of their orders."""
    page = server.http.get(LETTERS, params={"run": run["run_key"], **query}).json()
    return {letter["order_number"]: letter for letter in page["items"]}


@pytest.fixture(scope="module")
def dead_run(picky_server: Server) -> dict[str, Any]:
    """For tests that leave its letters as they are."""
    return run_with_dead_jobs(picky_server, picky_server.home / "dead_run.json")


def test_letters_are_listed_newest_first_filtered_and_paged(picky_server: Server, dead_run: dict[str, Any]) -> None:
    letters = letters_of(picky_server, dead_run)
    assert {number: letter["kind"] for number, letter in letters.items()} == {
        1: "permanent",
        3: "exhausted",
        4: "permanent",
        6: "defect",
    }
    assert {(letter["state"], letter["step_type"], letter["epoch"]) for letter in letters.values()} == {
        ("OPEN", "PICKY", 0)
    }
    assert sorted(letters_of(picky_server, dead_run, kind="permanent")) == [1, 4]
    assert sorted(letters_of(picky_server, dead_run, search="TASTE TODAY")) == [3]
    assert letters_of(picky_server, dead_run, state="RETRIED") == {}
    assert letters_of(picky_server, dead_run, queue="elsewhere") == {}
    assert sorted(letters_of(picky_server, dead_run, step_type="PICKY")) == [1, 3, 4, 6]
    assert letters_of(picky_server, dead_run, step_type="SEND_DICOM") == {}

    query: dict[str, Any] = {"run": dead_run["id"], "limit": 3}
    first = picky_server.http.get(LETTERS, params=query).json()
    second = picky_server.http.get(LETTERS, params=query | {"after": first["next_cursor"]}).json()
    ids = [letter["id"] for letter in first["items"] + second["items"]]
    assert (len(ids), ids, second["next_cursor"]) == (4, sorted(ids, reverse=True), None)


def test_a_letter_tells_what_was_tried(picky_server: Server, dead_run: dict[str, Any]) -> None:
    letters = letters_of(picky_server, dead_run)
    exhausted = picky_server.http.get(f"{LETTERS}/{letters[3]['id']}").json()
    assert json.loads(exhausted["body"])["data"]["run_id"] == dead_run["id"]
    retried, failed = exhausted["history"]
    assert (retried["outcome"], retried["cause"], retried["delay_seconds"]) == ("retried", "verdict", 1.0)
    assert (failed["outcome"], failed["starts"], failed["delay_seconds"]) == ("failed", 2, None)
    assert retried["at"] < retried["ended_at"] < failed["at"] < failed["ended_at"]
    defect = picky_server.http.get(f"{LETTERS}/{letters[6]['id']}").json()
    assert "ZeroDivisionError: no taste at all" in defect["traceback"]
    assert [entry["outcome"] for entry in defect["history"]] == ["failed"]


def test_the_statistics_agree_with_the_letters(picky_server: Server, dead_run: dict[str, Any]) -> None:
    statistics = picky_server.http.get(f"{LETTERS}/statistics").json()
    count = {state: statistics[state.lower()] for state in ("OPEN", "RETRIED", "DISCARDED")}
    for state, expected in count.items():
        assert expected == sum(group["count"] for group in statistics["groups"] if group["state"] == state)
        assert expected == len(picky_server.http.get(LETTERS, params={"state": state, "limit": 500}).json()["items"])
    assert count["OPEN"] >= 4


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/4711", 404),
        ("POST", "/4711/retry", 404),
        ("DELETE", "/4711", 404),
        ("GET", "/0", 422),
        ("GET", f"/{2**63}", 422),
        ("GET", "/first", 422),
        ("POST", "/-1/retry", 422),
        ("GET", "?state=LOST", 422),
        ("GET", "?kind=odd", 422),
        ("GET", "?after=nonsense", 422),
        ("GET", "?limit=501", 422),
    ],
)
def test_a_letter_that_is_not_there(picky_server: Server, method: str, path: str, status: int) -> None:
    check_problem(picky_server.http.request(method, LETTERS + path), status)


@pytest.mark.parametrize("action", ["retry", "discard"])
@pytest.mark.parametrize(
    ("body", "status", "text"),
    [
        ({"ids": [4711]}, 404, "4711"),
        ({"run": "NOSUCHRN"}, 404, "NOSUCHRN"),
        ({"ids": []}, 422, "ids"),
        ({"ids": [0]}, 422, "ids.0"),
        ({"ids": [1], "run": "NOSUCHRN"}, 422, "give one of the two"),
        ({"limit": 1001}, 422, "limit"),
        ({"state": "RETRIED"}, 422, "state"),
    ],
)
def test_a_selection_that_makes_no_sense(
    picky_server: Server, action: str, body: dict[str, Any], status: int, text: str
) -> None:
    assert text in check_problem(picky_server.http.post(f"{LETTERS}/{action}", json=body), status)["detail"]


def test_dead_jobs_are_tried_again_and_the_run_becomes_whole(picky_server: Server) -> None:
    file, http = picky_server.home / "retried.json", picky_server.http
    run = run_with_dead_jobs(picky_server, file)
    letters = letters_of(picky_server, run)

    file.write_text("{}")
    one, key = f"{LETTERS}/{letters[1]['id']}/retry", {"Idempotency-Key": run["id"]}
    first = http.post(one, headers=key)
    assert (first.status_code, first.json()["jobs"], first.json()["refused"]) == (202, 1, [])
    (reopened,) = first.json()["runs"]
    assert (reopened["id"], reopened["reopened"], reopened["epoch"]) == (run["id"], True, 1)
    again = http.post(one, headers=key)
    assert (again.json(), again.headers["idempotency-replayed"]) == (first.json(), "true")
    ended = picky_server.wait_for_end(run["id"])
    assert (ended["state"], ended["epoch"]) == ("COMPLETED_WITH_ERRORS", 1)
    assert http.post(one).json() == {"jobs": 0, "runs": [], "refused": []}
    check_problem(http.delete(f"{LETTERS}/{letters[1]['id']}"), 409)

    nothing = http.post(f"{LETTERS}/retry", json={"run": run["run_key"], "step_type": "SEND_DICOM"})
    assert (nothing.status_code, nothing.json()["jobs"]) == (202, 0)
    two = http.post(f"{LETTERS}/retry", json={"run": run["run_key"], "search": "not to my taste", "limit": 1})
    assert (two.status_code, two.json()["jobs"]) == (202, 1)
    ended = picky_server.wait_for_end(run["id"])
    rest = http.post(f"{LETTERS}/retry", json={"run": run["id"]})
    assert rest.json()["jobs"] == 2
    ended = picky_server.wait_for_end(run["id"])
    assert (ended["state"], ended["verdict"], ended["epoch"], ended["reason"]) == ("COMPLETED", "pass", 3, "")

    summary = http.get(f"{RUNS}/{run['id']}/metrics").json()
    assert (summary["epoch"], summary["orders"]["completed"], summary["orders"]["failed"]) == (3, 8, 0)
    assert summary["reconciliation"]["checked"] == summary["reconciliation"]["expected"] == 8
    assert all(threshold["met"] for threshold in summary["thresholds"])
    orders = http.get(f"{RUNS}/{run['id']}/orders").json()["items"]
    assert {order["state"] for order in orders} == {"COMPLETED"}
    assert {letter["state"] for letter in letters_of(picky_server, run).values()} == {"RETRIED"}
    history = http.get(f"{LETTERS}/{letters[1]['id']}").json()["history"]
    assert [(entry["epoch"], entry["outcome"]) for entry in history] == [
        (0, "failed"),
        (1, "reopened"),
        (1, "succeeded"),
    ]


def test_letters_are_discarded(picky_server: Server) -> None:
    http = picky_server.http
    run = run_with_dead_jobs(picky_server, picky_server.home / "discarded.json")
    letters = letters_of(picky_server, run)
    for _ in range(2):
        assert http.delete(f"{LETTERS}/{letters[6]['id']}").status_code == 204
    assert "discarded" in check_problem(http.post(f"{LETTERS}/{letters[6]['id']}/retry"), 409)["detail"]
    ids = [letters[1]["id"], letters[6]["id"]]
    assert http.post(f"{LETTERS}/discard", json={"ids": ids}).json() == {"letters": 1, "refused": []}
    bulk = http.post(f"{LETTERS}/retry", json={"ids": ids}).json()
    assert [refusal["id"] for refusal in bulk["refused"]] == ids and bulk["runs"] == []
    assert http.post(f"{LETTERS}/discard", json={"run": run["id"]}).json()["letters"] == 2
    assert picky_server.run(run["id"])["state"] == "COMPLETED_WITH_ERRORS"

    assert http.delete(f"{RUNS}/{run['id']}").status_code == 204
    check_problem(http.get(f"{LETTERS}/{letters[1]['id']}"), 404)


def test_queues_are_listed_with_who_uses_them(http: httpx.Client) -> None:
    queues = {queue["name"]: queue for queue in http.get("/api/admin/queues").json()["items"]}
    assert {"yeeter.simulation.orders", "yeeter.dead", "send_dicom"} <= queues.keys()
    assert "metadata-only" in queues["yeeter.simulation.orders"]["used_by"]
    assert queues["send_dicom"] | {"note": ""} == {
        "name": "send_dicom",
        "used_by": ["split-queues"],
        "ready": None,
        "consumers": None,
        "note": "",
    }


def test_embedded_there_is_no_queue_to_purge(http: httpx.Client) -> None:
    check_problem(http.post("/api/admin/queues/send_dicom/purge", json={"jobs": "cancel"}), 409)
    check_problem(http.post("/api/admin/queues/send_dicom/release"), 409)
    check_problem(http.post("/api/admin/queues/send_dicom/purge", json={"jobs": "burn"}), 422)
    check_problem(http.post("/api/admin/queues/send_dicom/purge", json={}), 422)


def test_destinations_that_answer_are_healthy(http: httpx.Client) -> None:
    health = http.get("/api/monitoring/health/destinations").json()
    assert health["healthy"] and health["parked"] == []
    assert {destination["state"] for destination in health["destinations"]} <= {"CLOSED"}
