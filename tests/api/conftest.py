"""A server as people run it: a process of its own, embedded, on a free port."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.services.processes import Program, wait_until

RUNS, TEMPLATES = "/api/simulator/runs", "/api/simulator/templates"
TERMINAL = ("COMPLETED", "COMPLETED_WITH_ERRORS", "FAILED", "CANCELLED")
SERVE = "from app.api.server import serve; from app.settings import load_settings; serve(load_settings())"


@dataclass(frozen=True)
class Server:
    """A running server."""

    program: Program
    home: Path
    url: str
    http: httpx.Client

    def start_run(self, **body: Any) -> dict[str, Any]:
        response = self.http.post(RUNS, json={"template": "metadata-only", **body})
        assert response.status_code == 202, response.text
        return dict(response.json())

    def run(self, name: str) -> dict[str, Any]:
        return dict(self.http.get(f"{RUNS}/{name}").json())

    def summary(self, name: str) -> dict[str, Any]:
        return dict(self.http.get(f"{RUNS}/{name}/metrics").json())

    def producers(self, run_id: str) -> list[int]:
        """The process ids of the producers that the run has had here."""
        lines = [line for line in self.program.output.splitlines() if "producer started" in line and run_id in line]
        return [int(line.split("pid=")[1].split()[0]) for line in lines]

    def wait_for(self, name: str, state: Callable[[str], bool], seconds: float = 60.0) -> dict[str, Any]:
        wait_until(lambda: state(self.run(name)["state"]), seconds, f"the run's state, now {self.run(name)}")
        return self.run(name)

    def wait_for_end(self, name: str) -> dict[str, Any]:
        return self.wait_for(name, lambda state: state in TERMINAL)

    def every_event(self, name: str) -> list[dict[str, Any]]:
        return self.paged_events(name, 500)

    def paged_events(self, name: str, limit: int) -> list[dict[str, Any]]:
        """All events, read in pages."""
        events: list[dict[str, Any]] = []
        query: dict[str, Any] = {"limit": limit}
        while True:
            page = self.http.get(f"{RUNS}/{name}/events", params=query).json()
            if not page["items"]:
                return events
            assert len(page["items"]) <= limit
            events += page["items"]
            query["after"] = page["next_cursor"]


@contextmanager
def running_server(home: Path, **settings: str) -> Iterator[Server]:
    """A server with these settings beside those of its kind."""
    home.mkdir(parents=True, exist_ok=True)
    with Program([sys.executable, "-c", SERVE], home / "log", environment(home, **settings)) as program:
        url = program.wait_for_line(r"serving\s.*(http://\S+)", 60)[1]
        with httpx.Client(base_url=url, timeout=30) as http:
            yield Server(program, home, url, http)


def environment(home: Path, **settings: str) -> dict[str, str]:
    """The environment of an embedded server; a short lease, so that a killed producer's run is soon free."""
    theirs = ("YEETER_", "RABBITMQ_", "DATABASE_")
    mine = {"YEETER_HOME": str(home), "YEETER_PORT": "0", "YEETER_LEASE_SECONDS": "2"}
    return {name: value for name, value in os.environ.items() if not name.startswith(theirs)} | mine | settings


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for all tests that leave it as it was."""
    with running_server(tmp_path_factory.mktemp("server")) as running:
        yield running


@pytest.fixture
def http(server: Server) -> httpx.Client:
    return server.http


@pytest.fixture(scope="session")
def ended_run(server: Server) -> dict[str, Any]:
    """A run of 12 orders that has completed."""
    run = server.start_run(orders=12, seed=7, labels={"purpose": "paging"})
    return server.wait_for_end(run["id"])


@pytest.fixture
def template(http: httpx.Client) -> Iterator[dict[str, Any]]:
    """A stored template of two steps."""
    document = {
        "name": "two-steps",
        "steps": [{"type": "GENERATE_HL7", "queue_async": True}, {"type": "GENERATE_DICOM"}],
    }
    response = http.post(TEMPLATES, json=document)
    assert response.status_code == 201, response.text
    yield dict(response.json())
    http.delete(f"{TEMPLATES}/{response.json()['id']}")
