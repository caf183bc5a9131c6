"""Metrics for Prometheus and as JSON, and the health of each service."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from app.adapters.broker.in_process import InProcessBroker
from app.api.application import create_app
from app.api.metrics import ApiMetrics
from app.api.monitoring_overview import NO_MANAGEMENT
from app.api.roles import Role
from app.bootstrap import bootstrap
from app.domain.work import Death, NewDeadLetter
from app.ports import Message, WorkerBeat
from app.runs.start import RunRequest, start_run
from app.settings import load_settings
from app.util.status_server import serve_status
from tests.api.in_process import IdleProducers, InProcess, in_process, over_a_broker, tokens_file
from tests.contract.database_fixtures import Play
from tests.services.processes import free_port

HEALTH, METRICS = "/api/monitoring/health", "/api/monitoring/metrics"
QUEUE = "yeeter.simulation.orders"


@pytest.fixture
def application(tmp_path: Path) -> Iterator[InProcess]:
    with in_process(tmp_path) as application:
        yield application


@pytest.fixture
def brokered(tmp_path: Path) -> Iterator[InProcess]:
    with over_a_broker(tmp_path) as application:
        yield application


def scraped(application: InProcess, token: str | None = None, **request: Any) -> Mapping[str, float]:
    """By name and labels, as they stand on the page."""
    response = application.ask("GET", "/metrics", token, **request)
    assert response.status_code == 200, response.text
    assert response.headers["content-type"].startswith("text/plain; version=")
    lines = [line for line in response.text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


def beat(application: InProcess, name: str, **values: Any) -> None:
    given: dict[str, Any] = {"queues": (QUEUE,), "concurrency": 4, "running": 2, "jobs_done": 10}
    with application.bundle.database.transaction() as work:
        work.workers.beat(WorkerBeat(name, **given | {"jobs_per_second": 1.5, "cpu": 0.5} | values))


class Begun(Play):
    """A run that is in the database already."""

    def __post_init__(self) -> None: ...


def play_run(application: InProcess) -> None:
    """A run under way: of three orders one is done, one has failed, and the job of one waits to be published."""
    document = {
        "name": "test",
        "destinations": {"hl7": {"host": "127.0.0.1", "port": 2575}},
        "steps": [{"type": "GENERATE_HL7", "queue_async": True}, *[{"type": "WAIT", "parameters": {"seconds": 1}}] * 2],
    }
    bundle = application.bundle
    run = start_run(bundle.database, bundle.types, RunRequest(document, orders=9), datetime.now().astimezone())
    play = Begun(bundle.database, run, types=("WAIT", "WAIT", "WAIT"), queues=(QUEUE, QUEUE))
    play.acknowledge(0, 1, 2)
    play.publish(2)
    for number, end in ((0, play.finished), (1, play.died)):
        [claim] = play.claim(number)
        play.finish(end(number, claim))


# --- Prometheus ---


def test_requests_are_counted_by_the_template_of_their_route(application: InProcess) -> None:
    for path in ("/api/simulator/runs/a", "/api/simulator/runs/b", "/healthz", "/made/up/1", "/made/up/2"):
        application.ask("GET", path)
    application.ask("MADEUP", "/healthz")
    told = scraped(application)
    counted = {name: count for name, count in told.items() if name.startswith("yeeter_api_requests_total")}

    def request(method: str, route: str, status: int) -> str:
        return f'yeeter_api_requests_total{{method="{method}",route="{route}",status="{status}"}}'

    assert counted == {
        request("GET", "/api/simulator/runs/{id}", 404): 2,
        request("GET", "/healthz", 200): 1,
        request("GET", "none", 404): 2,
        request("none", "/healthz", 405): 1,
    }
    assert told['yeeter_api_request_seconds_count{method="GET",route="none"}'] == 2


def test_a_defect_counts_as_500(application: InProcess) -> None:
    async def broken(scope: Any, receive: Any, send: Any) -> None:
        raise AssertionError

    metrics = ApiMetrics(application.bundle, lambda: 0.0)
    with pytest.raises(AssertionError):
        asyncio.run(metrics.counting(broken)({"type": "http", "method": "GET"}, None, None))  # type: ignore[arg-type]
    assert b'route="none",status="500"} 1.0' in metrics.page()


def test_the_whole_system_is_told(brokered: InProcess) -> None:
    bundle = brokered.bundle
    bundle.broker.declare([QUEUE])
    bundle.broker.publish([Message(str(number), QUEUE, b"") for number in range(3)])
    play_run(brokered)
    beat(brokered, "a", running=0)
    beat(brokered, "b", running=1)
    with bundle.database.transaction() as work:
        work.dead_letters.add([NewDeadLetter(QUEUE, "x", "", Death("not_a_job", "no job"), "w")])
        work.destinations.report("ARCHIVE@pacs:104", "no route", misconfigured=True)
    told = scraped(brokered)
    assert told['yeeter_runs{state="PENDING"}'] == 1 and told['yeeter_runs{state="FAILED"}'] == 0
    assert [told[f'yeeter_orders{{state="{state}"}}'] for state in ("WAITING", "COMPLETED", "FAILED")] == [1, 1, 1]
    jobs = ("queued", "running", "unpublished", "parked")
    assert [told[f'yeeter_jobs{{state="{state}"}}'] for state in jobs] == [0, 1, 1, 0]
    assert told["yeeter_outbox_due"] == 1
    assert told["yeeter_dead_letters_open"] == 2
    assert told['yeeter_destinations{state="OPEN"}'] == 1
    assert (told["yeeter_workers_alive"], told["yeeter_workers_busy"]) == (2, 1)
    assert told[f'yeeter_queue_messages_ready{{queue="{QUEUE}"}}'] == 3
    assert told[f'yeeter_queue_consumers{{queue="{QUEUE}"}}'] == 0
    assert told['yeeter_up{service="database"}'] == told['yeeter_up{service="broker"}'] == 1
    assert told["yeeter_api_feed_lag_seconds"] == 0


def test_services_that_are_away_leave_out_their_figures(tmp_path: Path) -> None:
    nobody = free_port()
    settings = load_settings(home=tmp_path, database_url=f"postgresql://y@127.0.0.1:{nobody}/y")
    with bootstrap(settings) as bundle:
        application = InProcess(create_app(bundle), bundle, IdleProducers(bundle))
        told = scraped(application)
        assert told['yeeter_up{service="database"}'] == 0 and told['yeeter_up{service="broker"}'] == 1
        assert "yeeter_outbox_due" not in told and "yeeter_api_feed_lag_seconds" in told
        for service in ("database", "workers"):
            health = application.ask("GET", f"{HEALTH}/{service}").json()
            assert not health["ready"] and "refused" in health["detail"]
        for figures in ("queue", "workers", "processing"):
            assert application.ask("GET", f"{METRICS}/{figures}").status_code == 503


def test_a_broker_that_is_away_leaves_the_rest(brokered: InProcess) -> None:
    brokered.bundle.broker.close()
    told = scraped(brokered)
    assert told['yeeter_up{service="broker"}'] == 0 and told['yeeter_up{service="database"}'] == 1
    assert not [name for name in told if name.startswith("yeeter_queue_")]
    health = brokered.ask("GET", f"{HEALTH}/broker").json()
    assert not health["ready"] and health["detail"]


def test_with_tokens_prometheus_shows_one_and_asks_by_whatever_address_it_has(tmp_path: Path) -> None:
    path, tokens = tokens_file(tmp_path)
    pod = {"Host": "10.0.0.7:8000"}
    with in_process(tmp_path, tokens_file=path) as application:
        assert scraped(application, tokens[Role.VIEWER], headers=pod)["yeeter_workers_alive"] == 0
        assert application.ask("GET", "/metrics", headers=pod).status_code == 401
        assert application.ask("GET", "/metrics/", tokens[Role.VIEWER], headers=pod).status_code == 403
    with in_process(tmp_path) as local:  # without tokens a web page's own name must not lead here
        assert local.ask("GET", "/metrics", headers=pod).status_code == 403


# --- JSON ---


def test_health_of_each_service(brokered: InProcess) -> None:
    assert brokered.ask("GET", f"{HEALTH}/database").json()["ready"] is True
    assert brokered.ask("GET", f"{HEALTH}/broker").json() == {
        "ready": True,
        "detail": f"queue {QUEUE}: 0 ready, 0 consumers",
    }
    workers = brokered.ask("GET", f"{HEALTH}/workers").json()
    assert workers == {"ready": False, "detail": "0 workers take jobs", "alive": 0, "busy": 0, "draining": 0}
    beat(brokered, "a", running=0)
    beat(brokered, "b", draining=True)
    workers = brokered.ask("GET", f"{HEALTH}/workers").json()
    assert workers == {"ready": True, "detail": "1 workers take jobs", "alive": 2, "busy": 1, "draining": 1}
    assert brokered.ask("GET", f"{HEALTH}/destinations").json()["ready"] is True
    with brokered.bundle.database.transaction() as work:
        work.destinations.report("ARCHIVE@pacs:104", "no route", misconfigured=True)
    away = brokered.ask("GET", f"{HEALTH}/destinations").json()
    assert (away["ready"], away["detail"]) == (False, "away: ARCHIVE@pacs:104")


def test_a_broker_whose_memory_runs_out_is_not_ready(brokered: InProcess) -> None:
    class Full(InProcessBroker):
        def trouble(self) -> str:
            return "it takes no messages"

    full = replace(brokered.bundle, broker=Full())
    application = InProcess(create_app(full, brokered.producers), full, brokered.producers)
    assert application.ask("GET", f"{HEALTH}/broker").json() == {"ready": False, "detail": "it takes no messages"}


def test_embedded_no_worker_is_needed(application: InProcess) -> None:
    assert application.ask("GET", f"{HEALTH}/workers").json()["ready"] is True


def test_queue_figures_say_what_can_not_be_told(brokered: InProcess) -> None:
    brokered.bundle.broker.declare([QUEUE])
    brokered.bundle.broker.publish([Message("1", QUEUE, b"")])
    play_run(brokered)
    document = brokered.ask("GET", f"{METRICS}/queue").json()
    assert (document["unpublished"], document["due"]) == (1, 1)
    figures = {queue["name"]: queue for queue in document["queues"]}
    ours = {"name": QUEUE, "ready": 1, "unacknowledged": None, "consumers": 0, "note": NO_MANAGEMENT}
    assert figures[QUEUE] == ours
    assert figures["send_dicom"]["ready"] is None and "there is no queue" in figures["send_dicom"]["note"]


def test_what_workers_hold_is_told_by_the_management_api(tmp_path: Path) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    rows = json.dumps([{"name": QUEUE, "messages_ready": 1, "messages_unacknowledged": 7}]).encode()
    asked = "/api/queues/%2F?disable_stats=true&enable_queue_totals=true"
    with over_a_broker(tmp_path, rabbitmq_management_url=url) as application:
        application.bundle.broker.declare([QUEUE])

        def ours() -> dict[str, Any]:
            queues = application.ask("GET", f"{METRICS}/queue").json()["queues"]
            return next(queue for queue in queues if queue["name"] == QUEUE)

        assert ours()["unacknowledged"] is None and url in ours()["note"]
        with serve_status(port, {asked: lambda: (200, "application/json", rows)}):
            assert (ours()["unacknowledged"], ours()["note"]) == (7, "")


def test_worker_figures_are_sums(application: InProcess) -> None:
    beat(application, "a")
    beat(application, "b", running=0, draining=True, jobs_per_second=0.25)
    assert application.ask("GET", f"{METRICS}/workers").json() == {
        "count": 2,
        "busy": 1,
        "draining": 1,
        "concurrency": 8,
        "running": 2,
        "jobs_per_second": 1.75,
        "jobs_done": 20,
    }


def test_processing_figures_are_of_the_runs_that_go_on(application: InProcess) -> None:
    nothing = application.ask("GET", f"{METRICS}/processing").json()
    assert nothing["active_runs"] == 0 and nothing["failure_rate"] is nothing["mean_processing_seconds"] is None
    play_run(application)
    assert application.ask("GET", f"{METRICS}/processing").json() == {
        "active_runs": 1,
        "measured_runs": 1,
        "queued": 0,
        "running": 0,
        "unpublished": 1,
        "parked": 0,
        "jobs_finished": 2,
        "succeeded": 1,
        "failed": 1,
        "failure_rate": 0.5,
        "mean_processing_seconds": 0.5,
    }
