"""Templates and their steps over REST."""

from __future__ import annotations

from typing import Any

import httpx

from tests.api.conftest import TEMPLATES

STEPS = [{"type": "GENERATE_HL7", "queue_async": True}, {"type": "GENERATE_DICOM"}, {"type": "SEND_DICOM"}]
YAML = """
name: from-yaml
orders: 5
steps:
  - type: GENERATE_HL7
    queue_async: true
  - {type: GENERATE_DICOM, queue: images, queue_metadata: {team: radiology}}
"""


def test_shipped_templates_are_listed_by_name(http: httpx.Client) -> None:
    page = http.get(TEMPLATES).json()
    shipped = [item["name"] for item in page["items"] if item["shipped"]]
    assert shipped == sorted(shipped)
    assert {"ct-chest", "metadata-only", "mixed-department"} <= set(shipped)
    assert page["next_cursor"] is None


def test_a_template_is_made_read_replaced_and_deleted(http: httpx.Client) -> None:
    made = http.post(TEMPLATES, json={"name": "mine", "orders": 3, "steps": STEPS})
    assert made.status_code == 201
    template = made.json()
    assert made.headers["location"] == f"{TEMPLATES}/{template['id']}"
    assert (template["version"], template["shipped"]) == (1, False)

    by_name = http.get(f"{TEMPLATES}/mine").json()
    assert by_name == http.get(f"{TEMPLATES}/{template['id']}").json() == template

    replaced = http.put(f"{TEMPLATES}/mine", json={"name": "renamed", "orders": 4, "steps": STEPS}).json()
    assert (replaced["id"], replaced["version"]) == (template["id"], 2)
    assert replaced["document"]["orders"] == 4
    assert http.get(f"{TEMPLATES}/mine").status_code == 404

    assert http.delete(f"{TEMPLATES}/renamed").status_code == 204
    assert http.get(f"{TEMPLATES}/{template['id']}").status_code == 404


def test_what_is_read_can_be_written_back(http: httpx.Client, template: dict[str, Any]) -> None:
    document = http.get(f"{TEMPLATES}/{template['id']}").json()["document"]
    again = http.put(f"{TEMPLATES}/{template['id']}", json=document)
    assert again.status_code == 200
    assert again.json()["document"] == document


def test_a_template_may_be_yaml(http: httpx.Client) -> None:
    made = http.post(TEMPLATES, content=YAML, headers={"Content-Type": "application/yaml; charset=utf-8"})
    assert made.status_code == 201, made.text
    assert made.json()["document"]["steps"][1]["queue_metadata"] == {"team": "radiology"}
    assert http.delete(f"{TEMPLATES}/from-yaml").status_code == 204


def test_a_name_is_taken_once(http: httpx.Client, template: dict[str, Any]) -> None:
    again = http.post(TEMPLATES, json={"name": template["name"], "steps": STEPS})
    assert again.status_code == 409
    assert "two-steps" in again.json()["detail"]
    renamed = http.put(f"{TEMPLATES}/{template['id']}", json={"name": "ct-chest", "steps": STEPS})
    assert renamed.status_code == 409


def test_validation_stores_nothing(http: httpx.Client) -> None:
    valid = http.post(f"{TEMPLATES}/validate", json={"name": "unstored", "steps": STEPS})
    assert valid.status_code == 200
    assert valid.json()["valid"] is True
    assert valid.json()["queues"] == ["yeeter.simulation.orders"]
    assert set(map(tuple, valid.json()["retry_delays"])) == {(1.0, 2.0)}
    assert valid.json()["document"]["orders"] == 1000
    assert http.get(f"{TEMPLATES}/unstored").status_code == 404


def test_steps_are_listed_with_their_queues(http: httpx.Client) -> None:
    items = http.get(f"{TEMPLATES}/split-queues/steps").json()["items"]
    assert [item["position"] for item in items] == list(range(len(items)))
    assert items[0]["runs_on"] == "producer"
    assert all(item["runs_on"] == item["queue"] for item in items if item["queue"] not in (None, "default"))
    assert {"queue_metadata", "retry", "timeout", "job_type", "parameters"} <= set(items[1])


def test_steps_are_added_replaced_and_deleted_each_as_a_new_version(
    http: httpx.Client, template: dict[str, Any]
) -> None:
    steps = f"{TEMPLATES}/{template['id']}/steps"

    added = http.post(steps, json={"type": "SEND_DICOM", "queue": "send", "queue_metadata": {"priority": 3}})
    assert added.status_code == 201, added.text
    assert added.headers["location"] == f"{steps}/2"
    assert (added.json()["position"], added.json()["runs_on"]) == (2, "send")
    assert added.json()["queue_metadata"] == {"priority": 3}

    between = http.post(steps, json={"position": 1, "type": "WAIT", "parameters": {"seconds": 2}})
    assert between.status_code == 201, between.text
    assert [item["type"] for item in http.get(steps).json()["items"]] == [
        "GENERATE_HL7",
        "WAIT",
        "GENERATE_DICOM",
        "SEND_DICOM",
    ]

    replaced = http.put(f"{steps}/1", json={"type": "WAIT", "parameters": {"seconds": 5}, "name": "later"})
    assert replaced.status_code == 200, replaced.text
    assert http.get(f"{steps}/1").json() == replaced.json()
    assert replaced.json()["parameters"] == {"seconds": 5}

    assert http.delete(f"{steps}/1").status_code == 204
    assert [item["type"] for item in http.get(steps).json()["items"]] == [
        "GENERATE_HL7",
        "GENERATE_DICOM",
        "SEND_DICOM",
    ]
    assert http.get(f"{TEMPLATES}/{template['id']}").json()["version"] == 5


def test_a_step_is_checked_with_the_whole_template(http: httpx.Client, template: dict[str, Any]) -> None:
    steps = f"{TEMPLATES}/{template['id']}/steps"
    for response, field in (
        (http.post(steps, json={"type": "SEND_DICOM", "mode": "inline"}), "mode"),
        (http.post(steps, json={"type": "SEND_DICOM", "position": 9}), "position"),
        (http.post(steps, json={"type": "SEND_DICOM", "position": "1"}), "position"),
        (http.put(f"{steps}/1", json={"type": "SEND_DICOM", "position": 0}), "position"),
        (http.post(steps, json={"type": "NO_SUCH_STEP"}), "type"),
        (http.post(steps, json={"type": "WAIT", "parameters": {"seconds": -1}}), "parameters.seconds"),
        (http.post(steps, json={"type": "WAIT", "parameter": {}}), "parameter"),
        (http.put(f"{steps}/0", json={"type": "GENERATE_DICOM"}), "type"),
        (http.post(steps, json=["WAIT"]), ""),
        (http.delete(f"{steps}/0"), "steps.0.type"),
    ):
        assert response.status_code == 422, response.text
        assert field in [problem["field"] for problem in response.json()["problems"]], response.text
    assert http.get(f"{TEMPLATES}/{template['id']}").json()["version"] == 1


def test_a_step_that_is_not_there_is_not_found(http: httpx.Client, template: dict[str, Any]) -> None:
    steps = f"{TEMPLATES}/{template['id']}/steps"
    assert http.get(f"{steps}/2").status_code == 404
    assert http.put(f"{steps}/2", json={"type": "WAIT"}).status_code == 404
    assert http.delete(f"{steps}/2").status_code == 404
    assert http.get(f"{TEMPLATES}/no-such/steps").status_code == 404


def test_step_types_are_listed_by_name(http: httpx.Client) -> None:
    items = http.get("/api/simulator/step-types").json()["items"]
    assert [item["name"] for item in items] == ["GENERATE_DICOM", "GENERATE_HL7", "SEND_DICOM", "VERIFY", "WAIT"]
    assert [item["name"] for item in items if item["uses_archive"]] == ["SEND_DICOM", "VERIFY"]
