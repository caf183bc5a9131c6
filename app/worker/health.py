"""The worker's ``/healthz`` and ``/readyz``."""

from __future__ import annotations

import json

from app.runs.working.work import Worker
from app.util.status_server import Answer


def health_routes(worker: Worker) -> dict[str, Answer]:
    """``/healthz``: 200 while none of its threads has ended; ``/readyz``: when it also takes jobs. Otherwise 503."""

    def figures() -> dict[str, object]:
        return {
            "alive": worker.is_alive,
            "consuming": worker.is_started,
            "trouble": worker.trouble,
            "running": worker.running,
            "done": worker.jobs_done,
            "isolated": worker.jobs_isolated,
            "hands_lost": worker.hands_lost,
        }

    def health() -> tuple[int, str, bytes]:
        return _answer(figures(), worker.is_alive)

    def readiness() -> tuple[int, str, bytes]:
        return _answer(figures(), worker.is_alive and worker.is_started)

    return {"/healthz": health, "/readyz": readiness}


def _answer(figures: dict[str, object], well: bool) -> tuple[int, str, bytes]:
    return (200 if well else 503), "application/json", json.dumps(figures).encode()
