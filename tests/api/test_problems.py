"""Whatever is wrong with a request, the answer is a problem document that says what and where."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from tests.api.conftest import RUNS, TEMPLATES, Server

JSON = {"Content-Type": "application/json"}
YAML = {"Content-Type": "application/yaml"}
STEPS = [{"type": "GENERATE_HL7"}]
BOMB = "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n"
OWN_TEXT = "MSH|^~\\&|{sending_application}"


def template(**more: Any) -> dict[str, Any]:
    return {"name": "bad", "steps": STEPS, **more}


@dataclass(frozen=True)
class Case:
    method: str
    path: str
    status: int
    fields: tuple[str, ...] = ()
    body: Any = None  # sent as JSON, or as it is when it is bytes
    headers: tuple[tuple[str, str], ...] = ()
    detail: str = ""  # part of it


def post(path: str, status: int, body: Any, *fields: str, detail: str = "", headers: dict[str, str] = JSON) -> Case:
    return Case("POST", path, status, fields, body, tuple(headers.items()), detail)


def run(status: int, *fields: str, detail: str = "", **body: Any) -> Case:
    return post(RUNS, status, {"template": "metadata-only", **body}, *fields, detail=detail)


def get(path: str, status: int, *fields: str, detail: str = "") -> Case:
    return Case("GET", path, status, fields, detail=detail)


CASES = [
    # nothing there, or not offered
    get("/nowhere", 404, detail="/nowhere"),
    get("/api/simulator/templates/", 404),
    Case("PATCH", TEMPLATES, 405, detail="PATCH"),
    get(f"{TEMPLATES}/no-such", 404, detail="no-such"),
    get(f"{TEMPLATES}/..%2F..%2Fetc%2Fpasswd", 404),
    get(f"{RUNS}/no-such", 404, detail="no-such"),
    get(f"{RUNS}/..%2F..%2Fetc%2Fpasswd", 404),
    get(f"{RUNS}/%2e%2e", 404),
    get(f"{RUNS}/..%2F..%2Fetc%2Fpasswd/orders/1", 404),
    get(f"{RUNS}/..%5C..%5Cpasswd/metrics", 404),
    get(f"{RUNS}/no-such/orders/..%2F1", 404),
    Case("DELETE", f"{RUNS}/..%2F..%2Fetc", 404),
    Case("DELETE", f"{TEMPLATES}/..%2F..%2Fetc", 404),
    get(f"{RUNS}/no-such/events", 404),
    get(f"{RUNS}/no-such/orders/1", 404),
    get(f"{RUNS}/no-such/metrics", 404),
    Case("DELETE", f"{RUNS}/no-such", 404),
    Case("POST", f"{RUNS}/no-such/cancel", 404),
    run(404, template="no-such", detail="no-such"),
    # not readable
    post(RUNS, 400, b'{"template": ', detail="not valid JSON"),
    post(RUNS, 400, b"\xff\xfe", detail="not valid JSON"),
    post(RUNS, 400, b'{"seed": NaN}', detail="NaN"),
    post(RUNS, 400, b'{"template": "a\\u0000b"}', detail="NUL"),
    post(RUNS, 400, b'{"labels": {"a": "\\ud800"}}', detail="labels.a"),
    post(RUNS, 400, b'{"template":' + b"[" * 5000 + b"]" * 5000 + b"}", detail="nested more than"),
    post(TEMPLATES, 400, b"[" * 100_000, detail="nested more than"),
    post(TEMPLATES, 400, b"name: [unclosed", headers=YAML, detail="line 1"),
    post(TEMPLATES, 400, BOMB.encode(), headers=YAML, detail="aliases"),
    post(TEMPLATES, 400, b"[" * 5000, headers=YAML, detail="nested more than"),
    post(TEMPLATES, 400, b"since: 2026-01-01", headers=YAML, detail="since: date is not"),
    post(TEMPLATES, 400, b"!!python/object/apply:os.system ['true']", headers=YAML, detail="not valid YAML"),
    post(TEMPLATES, 400, b"steps: {1: x}", headers=YAML, detail="the key 1"),
    post(TEMPLATES, 413, b" " * (1024 * 1024 + 1), detail="larger than"),
    post(TEMPLATES, 415, b"name: x", headers={"Content-Type": "text/plain"}, detail="application/yaml"),
    post(RUNS, 415, b"template: x", headers=YAML, detail="application/json"),
    get(f"{TEMPLATES}/%00", 400, detail="NUL"),
    get(f"{RUNS}?template=%00", 400, detail="NUL"),
    # templates
    post(TEMPLATES, 422, ["no mapping"], ""),
    post(TEMPLATES, 422, {}, "name", "steps"),
    post(TEMPLATES, 422, template(name="Not A Name"), "name"),
    post(TEMPLATES, 422, template(colour="blue"), "colour"),
    post(TEMPLATES, 422, template(steps=[]), "steps"),
    post(TEMPLATES, 422, template(steps=[*STEPS, {"type": "NO_SUCH"}]), "steps.1.type"),
    post(TEMPLATES, 422, template(steps=[*STEPS, {"type": "SEND_DICOM", "queue": "a b"}]), "steps.1.queue"),
    post(TEMPLATES, 422, template(arrival={"model": "constant"}), "arrival"),
    post(TEMPLATES, 422, template(thresholds=["faster"]), "thresholds"),
    post(TEMPLATES, 422, template(hl7={"message": OWN_TEXT}), "hl7.message"),
    post(TEMPLATES, 422, template(destinations={"hl7": "nowhere"}), "destinations.hl7"),
    post(f"{TEMPLATES}/validate", 422, template(orders=0), "orders"),
    Case("PUT", f"{TEMPLATES}/ct-chest", 422, ("orders",), template(orders=0), tuple(JSON.items())),
    # runs
    post(RUNS, 422, {}, "template"),
    post(RUNS, 422, b"", ""),
    post(RUNS, 422, [1], ""),
    run(422, "order", order=5),
    run(422, "template", template=5),
    run(422, "orders", orders=0),
    run(422, "orders", orders=10**9),
    run(422, "seed", seed=-1),
    run(422, "duration", duration="soon"),
    run(422, "duration", duration=-1),
    run(422, "duration", duration=[5]),
    run(422, "run_key", run_key="SHORT"),
    run(422, "base_time", base_time="yesterday"),
    run(422, "base_time", base_time="2026-01-01T08:00:00Z"),
    run(422, "labels.size", labels={"size": 5}),
    run(422, "thresholds", thresholds=["faster"]),
    run(422, "destinations.pacs", destinations={"pacs": "A@localhost:104"}),
    run(422, "destinations.hl7", destinations={"hl7": 2575}),
    run(422, "destinations.hl7", destinations={"hl7": "localhost"}),
    run(422, "destinations.dicom", destinations={"dicom": "localhost:104"}),
    run(422, "destinations.hl7.port", destinations={"hl7": {"host": "localhost", "port": 0}}),
    run(422, "destinations.hl7", destinations={"hl7": "169.254.169.254:80"}),
    run(422, "destinations.hl7", destinations={"hl7": "[::ffff:169.254.169.254]:80"}),
    run(422, "destinations.dicom", destinations={"dicom": "PACS@pacs.invalid:104"}),
    run(422, "destinations.hl7", overrides={"destinations.hl7": "10.0.0.1:2575"}),
    run(422, "destinations.hl7", template=template(destinations={"hl7": {"host": "10.0.0.1", "port": 2575}})),
    run(422, "study.pixels", overrides={"study.pixels": "huge"}),
    run(422, "steps.9.timeout", overrides={"steps.9.timeout": 5}),
    run(422, "thresholds.0.p95", template=template(thresholds=["wall_seconds < 9"]), overrides={"thresholds.0.p95": 1}),
    run(422, "nothing", overrides={"nothing": 1}),
    # queries
    get(f"{RUNS}?limit=501", 422, "limit"),
    get(f"{RUNS}?limit=0", 422, "limit"),
    get(f"{RUNS}?state=BUSY", 422, "state"),
    get(f"{RUNS}?after=rubbish", 422, "after"),
]


def name(case: Case) -> str:
    return f"{case.method} {case.path} {case.fields or case.detail} {case.status}"


@pytest.mark.parametrize("case", CASES, ids=name)
def test_an_error_is_a_problem_document(server: Server, case: Case) -> None:
    body = case.body if isinstance(case.body, bytes) else b"" if case.body is None else json.dumps(case.body).encode()
    response = server.http.request(case.method, case.path, content=body, headers=dict(case.headers))
    problem = check_problem(response, case.status)
    assert case.detail in problem["detail"], problem
    fields = {found["field"] for found in problem.get("problems", ())}
    assert set(case.fields) <= fields, problem


def check_problem(response: httpx.Response, status: int) -> dict[str, Any]:
    """Its form is right, and nothing of a traceback is in it."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert problem["type"].startswith("urn:yeeter:problem:")
    assert problem["status"] == status
    assert problem["title"]
    assert problem["detail"]
    assert "Traceback" not in response.text
    if status == 422:
        assert problem["problems"]
        assert all(set(found) == {"field", "problem", "cure"} and found["problem"] for found in problem["problems"])
    return dict(problem)


def test_a_body_without_a_declared_length_is_measured_too(http: httpx.Client) -> None:
    chunks = (b" " * 65_536 for _ in range(20))
    check_problem(http.post(TEMPLATES, content=chunks, headers=JSON), 413)


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({"Host": "yeeter.example"}, id="DNS rebinding"),
        pytest.param({"Origin": "http://evil.example"}, id="a page of another origin"),
        pytest.param({"Origin": "null"}, id="a sandboxed page"),
    ],
)
def test_only_this_very_server_is_asked(server: Server, headers: dict[str, str]) -> None:
    check_problem(server.http.post(f"{RUNS}/no-such/cancel", headers=headers), 403)
    check_problem(server.http.get("/socket.io/?EIO=4&transport=polling", headers=headers), 403)


def test_its_own_page_may_ask(server: Server) -> None:
    assert server.http.get(TEMPLATES, headers={"Origin": server.url}).status_code == 200


def test_a_method_that_is_not_offered_is_named_with_those_that_are(http: httpx.Client) -> None:
    response = http.put(RUNS)
    assert check_problem(response, 405)["detail"].startswith("PUT")
    assert response.headers["allow"]
