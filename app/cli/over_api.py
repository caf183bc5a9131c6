"""A run on a server: started, followed and cancelled over its API."""

from __future__ import annotations

import time
from typing import Any

from pydantic import ValidationError

from app.cli.attend import attend
from app.cli.backend import Document
from app.cli.backend.remote import RemoteBackend
from app.cli.display import RunFigures, run_display
from app.cli.output import note
from app.domain.destination import Hl7Destination
from app.domain.errors import InvalidInput, NotFound, Problem, Unavailable
from app.domain.run import RunState
from app.domain.template import problems_of
from app.runs.start import RunRequest

POLL = 0.5  # seconds between two questions
PATIENCE = 60.0  # seconds without an answer; the run goes on without us


def start_over_api(backend: RemoteBackend, request: RunRequest, connections: int | None) -> Document:
    """Start the run on the server; the run as it stands then.

    Raises:
        InvalidInput: the request can't be run there.
        Conflict: its run key is taken.
        Unavailable: the API can't be reached.
    """
    try:
        hl7 = request.hl7 if connections is None else _with_connections(backend, request, connections)
        return backend.start_run(_body(request, hl7))
    except NotFound as error:
        raise InvalidInput(Problem("", str(error))) from error


def follow_over_api(backend: RemoteBackend, run: Document) -> Document:
    """Show the run's progress until it has ended; the run as it ended."""
    note(f"run {run['run_key']}: {run['requested']} orders of {run['template_name']}, seed {run['seed']}")
    under_way = RemoteRun(backend, run)
    with run_display() as display:
        attend(under_way, display, lambda: None)
    return under_way.run


def _with_connections(backend: RemoteBackend, request: RunRequest, connections: int) -> Document:
    """The order receiver that the request or its template names, with so many connections to it."""
    template = (
        request.template if isinstance(request.template, dict) else backend.template(request.template)["document"]
    )
    named = request.hl7 or (template.get("destinations") or {}).get("hl7")
    if named is None:
        raise InvalidInput(Problem("--connections", "the template names no order receiver", "give --hl7, too"))
    try:
        return Hl7Destination.model_validate(named).model_dump(mode="json") | {"connections": connections}
    except ValidationError as error:
        raise InvalidInput(*problems_of(error)) from error


def _body(request: RunRequest, hl7: Any) -> Document:
    return {
        "template": request.template,
        "orders": request.orders,
        "duration": request.duration,
        "seed": request.seed,
        "run_key": request.run_key,
        "base_time": request.base_time.isoformat() if request.base_time else None,
        "destinations": {"hl7": hl7, "dicom": request.dicom},
        "thresholds": list(request.thresholds),
        "overrides": request.overrides,
        "labels": request.labels,
    }


class RemoteRun:
    """A run that a server works on."""

    def __init__(self, backend: RemoteBackend, run: Document) -> None:
        self._backend = backend
        self._summary = backend.summary(run["id"])
        self._next = 0.0
        self._answered = time.monotonic()
        self.run = run

    def wait(self, seconds: float) -> bool:
        if time.monotonic() >= self._next:
            self._look()
        if not self._has_ended:
            time.sleep(seconds)
        return self._has_ended

    def cancel(self) -> None:
        self._backend.cancel_run(self.run["id"])

    def figures(self) -> RunFigures:
        orders, jobs = self._summary["orders"], self._summary["jobs"]
        return RunFigures(
            phase=self.run["state"].lower().replace("_", " "),
            requested=orders["requested"],
            emitted=orders["emitted"],
            completed=orders["completed"],
            failed=orders["failed"],
            cancelled=orders["cancelled"],
            queued=max(jobs["published"] - jobs["succeeded"] - jobs["dead_lettered"], 0),
        )

    @property
    def _has_ended(self) -> bool:
        return RunState(self.run["state"]).is_terminal

    def _look(self) -> None:
        """Ask the server; one that is away for a while is asked again."""
        now = time.monotonic()
        self._next = now + POLL
        try:
            self.run = self._backend.run(self.run["id"])
            self._summary = self._backend.summary(self.run["id"])
            self._answered = now
        except Unavailable:
            if now - self._answered > PATIENCE:
                raise
