"""Runs over REST: started, read, cancelled, deleted."""

from __future__ import annotations

import base64
import os
import signal
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from app.adapters.database import SqlDatabase
from app.domain.template import StepTypes
from app.hl7.parsing import parse_message
from app.runs.start import RunRequest, start_run
from tests.api.conftest import RUNS, TERMINAL, Server
from tests.api.test_problems import check_problem
from tests.services.processes import wait_until

SLOW = {"arrival": {"model": "constant", "rate": 2}}  # orders a second


def test_a_run_goes_to_its_end(ended_run: dict[str, Any]) -> None:
    assert (ended_run["state"], ended_run["verdict"], ended_run["reason"]) == ("COMPLETED", "pass", "")
    assert (ended_run["requested"], ended_run["seed"], ended_run["labels"]) == (12, 7, {"purpose": "paging"})
    assert ended_run["document"]["orders"] == 12
    moments = [ended_run[name] for name in ("created_at", "started_at", "emitted_at", "finished_at")]
    assert moments == sorted(moments)


def test_a_run_is_found_by_id_and_by_key(http: httpx.Client, ended_run: dict[str, Any]) -> None:
    assert http.get(f"{RUNS}/{ended_run['run_key']}").json() == http.get(f"{RUNS}/{ended_run['id']}").json()


def test_the_summary_agrees_with_the_run(http: httpx.Client, ended_run: dict[str, Any]) -> None:
    summary = http.get(f"{RUNS}/{ended_run['id']}/metrics").json()
    assert summary["run_id"] == ended_run["id"]
    assert (summary["status"], summary["verdict"]) == ("COMPLETED", "pass")
    assert summary["orders"]["completed"] == summary["orders"]["acknowledged"] == 12
    assert summary["reconciliation"]["missing"] == 0
    assert all(threshold["met"] for threshold in summary["thresholds"])
    assert http.get(f"{RUNS}/{ended_run['id']}/findings").json() == {"items": [], "next_cursor": None}


def test_events_are_paged_whole_and_in_order(server: Server, ended_run: dict[str, Any]) -> None:
    whole = server.every_event(ended_run["id"])
    assert server.paged_events(ended_run["id"], 7) == whole
    states = [event["data"]["state"] for event in whole if event["kind"] == "run.state"]
    assert states == ["PENDING", "RUNNING", "WAITING_ON_WORKERS", "RECONCILING", "COMPLETED"]
    assert sum(event["kind"] == "order.completed" for event in whole) == 12


def test_events_of_one_order(http: httpx.Client, ended_run: dict[str, Any]) -> None:
    items = http.get(f"{RUNS}/{ended_run['id']}/events", params={"order": 4}).json()["items"]
    assert {event["order_number"] for event in items} == {4}
    assert items[-1]["kind"] == "order.completed"


def test_orders_are_paged_filtered_and_searched(http: httpx.Client, ended_run: dict[str, Any]) -> None:
    path = f"{RUNS}/{ended_run['run_key']}/orders"
    first = http.get(path, params={"limit": 5}).json()
    second = http.get(path, params={"limit": 5, "after": first["next_cursor"]}).json()
    third = http.get(path, params={"limit": 5, "after": second["next_cursor"]}).json()
    orders = first["items"] + second["items"] + third["items"]
    assert [order["number"] for order in orders] == list(range(12))
    assert third["next_cursor"] is None
    assert http.get(path, params={"state": "FAILED"}).json()["items"] == []
    assert http.get(path, params={"first": 5, "limit": 5}).json() == second
    for sought in (orders[3]["accession"], orders[3]["patient_name"].split("^")[0].lower()):
        found = [order["number"] for order in http.get(path, params={"search": sought}).json()["items"]]
        assert 3 in found


def test_an_order_is_told_whole(http: httpx.Client, ended_run: dict[str, Any]) -> None:
    order = http.get(f"{RUNS}/{ended_run['id']}/orders/3").json()
    message = parse_message(base64.b64decode(order["hl7"]["base64"]))
    assert (message.control_id, message.accession) == (order["control_id"], order["accession"])
    assert message.patient_id == order["patient_id"]
    assert [line[:3] for line in order["hl7"]["text"].split("\n")] == ["MSH", "PID", "PV1", "ORC", "OBR", "ZDS"]
    assert order["acknowledgement"]["code"] == "AA"
    assert f"MSA|AA|{order['control_id']}" in order["acknowledgement"]["text"].split("\n")
    assert order["study"]["study_uid"] == order["study_uid"]
    assert sum(series["instances"] for series in order["study"]["series"]) == order["instances_stored"]
    assert [(step["type"], step["state"]) for step in order["steps"]] == [
        ("GENERATE_HL7", "SUCCEEDED"),
        ("GENERATE_DICOM", "SUCCEEDED"),
        ("SEND_DICOM", "SUCCEEDED"),
    ]
    (job,) = order["jobs"]
    assert (job["queue"], job["outcome"]) == ("yeeter.simulation.orders", "succeeded")
    assert job["queued_at"] <= job["started_at"] <= job["finished_at"]
    assert order["events"] == http.get(f"{RUNS}/{ended_run['id']}/events?order=3").json()["items"]


@pytest.mark.parametrize(("number", "status"), [(12, 404), (-1, 422), ("x", 422), (32**5, 422)])
def test_an_order_that_is_not_there(http: httpx.Client, ended_run: dict[str, Any], number: Any, status: int) -> None:
    check_problem(http.get(f"{RUNS}/{ended_run['id']}/orders/{number}"), status)


def test_an_order_s_images_are_made_again(http: httpx.Client, ended_run: dict[str, Any]) -> None:
    order = f"{RUNS}/{ended_run['run_key']}/orders/3"
    study = http.get(order).json()["study"]
    (instance,) = http.get(f"{order}/instances").json()["items"]
    elements = {line["name"]: line["value"] for line in http.get(f"{order}/instances/0").json()["items"]}
    assert elements["SOP Instance UID"] == instance["sop_instance_uid"]
    assert elements["Series Instance UID"] == study["series"][0]["series_uid"]
    assert (elements["Rows"], elements["Columns"]) == (str(instance["rows"]), str(instance["columns"]))
    thumbnail = http.get(f"{order}/instances/0/thumbnail")
    assert (thumbnail.headers["content-type"], thumbnail.content[:4]) == ("image/png", b"\x89PNG")


@pytest.mark.parametrize("path", ["3/instances/1", "3/instances/1/thumbnail", "12/instances", "12/instances/0"])
def test_an_image_that_is_not_there(http: httpx.Client, ended_run: dict[str, Any], path: str) -> None:
    check_problem(http.get(f"{RUNS}/{ended_run['id']}/orders/{path}"), 404)


def test_a_run_key_is_taken_once(http: httpx.Client, ended_run: dict[str, Any]) -> None:
    again = http.post(RUNS, json={"template": "metadata-only", "run_key": ended_run["run_key"]})
    assert ended_run["run_key"] in check_problem(again, 409)["detail"]


def test_a_run_that_has_ended_is_not_cancelled(http: httpx.Client, ended_run: dict[str, Any]) -> None:
    check_problem(http.post(f"{RUNS}/{ended_run['id']}/cancel"), 409)


def test_a_run_is_started_from_an_inline_template_cancelled_and_deleted(server: Server) -> None:
    http = server.http
    document = {"name": "inline", "orders": 500, "steps": [{"type": "GENERATE_HL7"}], **SLOW}
    response = http.post(RUNS, json={"template": document, "base_time": "2026-03-01T08:00:00", "run_key": "TESTRVNS"})
    assert response.status_code == 202, response.text
    run = response.json()
    assert response.headers["location"] == f"{RUNS}/{run['id']}"
    assert (run["state"], run["run_key"], run["base_time"]) == ("PENDING", "TESTRVNS", "2026-03-01T08:00:00")
    server.wait_for(run["id"], lambda state: state == "RUNNING")
    active = http.get("/api/monitoring/status").json()["active_runs"]
    assert run["id"] in [each["id"] for each in active]
    assert "cancel" in check_problem(http.delete(f"{RUNS}/{run['id']}"), 409)["detail"]

    assert http.post(f"{RUNS}/{run['id']}/cancel").json()["state"] == "CANCELLING"
    assert server.wait_for_end(run["id"])["state"] == "CANCELLED"
    orders = http.get(f"{RUNS}/{run['id']}/metrics").json()["orders"]
    assert orders["completed"] + orders["failed"] + orders["cancelled"] + orders["not_emitted"] == 500
    assert orders["not_emitted"] > 0

    assert http.delete(f"{RUNS}/{run['id']}").status_code == 204
    check_problem(http.get(f"{RUNS}/{run['id']}"), 404)


def test_a_run_that_nobody_runs_is_brought_to_its_end_when_it_is_cancelled(server: Server) -> None:
    database = SqlDatabase(f"sqlite:///{server.home / 'yeeter.db'}")
    template = {"name": "orphan", "steps": [{"type": "GENERATE_HL7"}]}
    types = StepTypes({"GENERATE_HL7": lambda parameters: None})
    orphan = start_run(database, types, RunRequest(template), datetime.now(UTC))
    database.close()
    assert server.http.post(f"{RUNS}/{orphan.run_key}/cancel").json()["state"] == "CANCELLING"
    assert server.wait_for_end(orphan.run_key)["state"] == "CANCELLED"
    assert server.http.delete(f"{RUNS}/{orphan.id}").status_code == 204


def test_runs_are_listed_newest_first_filtered_and_paged(server: Server, ended_run: dict[str, Any]) -> None:
    waiting = server.start_run(orders=5, overrides=SLOW)
    server.http.post(f"{RUNS}/{waiting['id']}/cancel")
    server.wait_for_end(waiting["id"])
    first = server.http.get(RUNS, params={"limit": 1}).json()
    assert [run["id"] for run in first["items"]] == [waiting["id"]]
    second = server.http.get(RUNS, params={"limit": 50, "after": first["next_cursor"]}).json()
    assert ended_run["id"] in [run["id"] for run in second["items"]]
    assert waiting["id"] not in [run["id"] for run in second["items"]]
    assert second["next_cursor"] is None
    for query, wanted in (
        ({"state": "CANCELLED"}, waiting["id"]),
        ({"state": "COMPLETED", "template": "metadata-only"}, ended_run["id"]),
    ):
        assert wanted in [run["id"] for run in server.http.get(RUNS, params=query).json()["items"]]
    assert server.http.get(RUNS, params={"template": "ct-chest"}).json()["items"] == []


def test_a_run_whose_producer_dies_goes_on_with_another(server: Server) -> None:
    run = server.start_run(orders=40, overrides={"arrival": {"model": "constant", "rate": 10}})
    server.wait_for(run["id"], lambda state: state == "RUNNING")
    wait_until(lambda: server.summary(run["id"])["orders"]["emitted"] > 0, 60, "the first order")
    os.kill(server.producers(run["id"])[0], signal.SIGKILL)

    ended = server.wait_for(run["id"], lambda state: state in TERMINAL, 180)
    assert (ended["state"], ended["verdict"]) == ("COMPLETED", "pass")
    assert len(server.producers(run["id"])) > 1
    summary = server.summary(run["id"])
    assert summary["orders"]["completed"] == summary["reconciliation"]["checked"] == 40
