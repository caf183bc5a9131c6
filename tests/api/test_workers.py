"""Workers over REST: pools, scaling by people, decisions as JSON and CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.api.roles import Role
from app.domain.scaling import PoolLoad, ScalingDecision, ScalingKind
from app.ports import WorkerBeat
from tests.api.in_process import InProcess, in_process, tokens_file
from tests.api.test_problems import check_problem

WORKERS, SCALE, DECISIONS = "/api/admin/workers", "/api/admin/workers/scale", "/api/admin/scaling-decisions"
POOLS = "[{name: default, max: 9}, {name: send, deployment: yeeter-worker-send, queues: [send_dicom]}]"


@pytest.fixture
def application(tmp_path: Path) -> Iterator[InProcess]:
    pools = tmp_path / "pools.yaml"
    pools.write_text(POOLS)
    with in_process(tmp_path, autoscaler_pools_file=pools) as application:
        yield application


def decide(application: InProcess, pool: str, before: int, after: int, reason: str) -> None:
    with application.bundle.database.transaction() as work:
        load = PoolLoad(5, 1, 0, 2, 3.25, 0.5)
        made = ScalingDecision(pool, work.scaling.now(), ScalingKind.OUT, before, after, after, reason, 5.0, load)
        work.scaling.add(made, "uid", applied=True)


def test_pools_and_workers_are_shown_with_the_last_decision(application: InProcess) -> None:
    document = application.ask("GET", WORKERS).json()
    assert [(pool["name"], pool["decision"], pool["pin"]) for pool in document["pools"]] == [
        ("default", None, None),
        ("send", None, None),
    ]
    assert document["workers"] == []
    decide(application, "default", 1, 3, "first")
    decide(application, "default", 3, 4, "second")
    with application.bundle.database.transaction() as work:
        work.workers.beat(WorkerBeat("w", ("a",), 4, 2, 10, 1.5, 0.25))
    document = application.ask("GET", WORKERS).json()
    assert (document["pools"][0]["decision"]["after"], document["pools"][0]["decision"]["reason"]) == (4, "second")
    [worker] = document["workers"]
    assert (worker["name"], worker["queues"], worker["jobs_per_second"]) == ("w", ["a"], 1.5)


def test_a_person_sets_a_number_and_takes_it_back(application: InProcess) -> None:
    answer = application.ask("POST", SCALE, json={"replicas": 7, "pool": "send", "seconds": 90})
    assert answer.status_code == 202
    pin = answer.json()["pin"]
    assert (pin["replicas"], pin["by"]) == (7, "this machine's administrator")
    assert [pool["pin"] for pool in application.ask("GET", WORKERS).json()["pools"]] == [None, pin]
    assert application.ask("POST", SCALE, json={"replicas": None, "pool": "send"}).json()["pin"] is None


def test_the_same_request_sent_again_is_one(application: InProcess) -> None:
    headers = {"Idempotency-Key": "once"}
    first = application.ask("POST", SCALE, json={"replicas": 2}, headers=headers)
    again = application.ask("POST", SCALE, json={"replicas": 2}, headers=headers)
    assert first.json() == again.json()
    assert again.headers["idempotency-replayed"] == "true"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "replicas"),
        ({"replicas": -1}, "replicas"),
        ({"replicas": 10_001}, "replicas"),
        ({"replicas": "many"}, "replicas"),
        ({"replicas": 1, "pool": "nobody"}, "pool"),
        ({"replicas": 1, "pool": "../x"}, "pool"),
        ({"replicas": 1, "seconds": 0}, "seconds"),
        ({"replicas": 1, "for": 5}, "for"),
    ],
)
def test_a_wrong_wish_names_its_field(application: InProcess, body: dict[str, object], field: str) -> None:
    problem = check_problem(application.ask("POST", SCALE, json=body), 422)
    assert [each["field"] for each in problem["problems"]] == [field]


def test_who_set_it_is_said(tmp_path: Path) -> None:
    path, tokens = tokens_file(tmp_path)
    with in_process(tmp_path, tokens_file=path) as application:
        pin = application.ask("POST", SCALE, tokens[Role.ADMIN], json={"replicas": 3}).json()["pin"]
    assert pin["by"] == "admin"


def test_decisions_are_pages_and_tables(application: InProcess) -> None:
    decide(application, "default", 1, 3, "=cmd()")
    decide(application, "send", 1, 2, "5 ready")
    page = application.ask("GET", DECISIONS, params={"limit": 1}).json()
    assert [row["pool"] for row in page["items"]] == ["send"]
    rest = application.ask("GET", DECISIONS, params={"after": page["next_cursor"]}).json()
    assert [row["pool"] for row in rest["items"]] == ["default"] and rest["next_cursor"] is None
    answer = application.ask("GET", DECISIONS, params={"pool": "default", "format": "csv"})
    assert answer.headers["content-type"].startswith("text/csv")
    [row] = list(csv.DictReader(io.StringIO(answer.text)))
    assert (row["pool"], row["before"], row["after"], row["jobs_per_second"]) == ("default", "1", "3", "3.25")
    assert row["reason"] == "'=cmd()"


@pytest.mark.parametrize("text", ["[{name: default, workers: 3}]", "not: a list", "[", ""])
def test_a_wrong_file_of_pools_is_named(tmp_path: Path, text: str) -> None:
    pools = tmp_path / "pools.yaml"
    pools.write_text(text)
    with in_process(tmp_path, autoscaler_pools_file=pools) as application:
        problem = check_problem(application.ask("GET", WORKERS), 422)
    assert "YEETER_AUTOSCALER_POOLS_FILE" in problem["problems"][0]["field"]
