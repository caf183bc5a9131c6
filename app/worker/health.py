"""The worker's ``/healthz``: 200 while its threads live, 503 otherwise."""

from __future__ import annotations

import json

from app.runs.working.work import Worker
from app.util.status_server import Answer


def health_routes(worker: Worker) -> dict[str, Answer]:
    def health() -> tuple[int, str, bytes]:
        figures = {
            "alive": worker.is_alive,
            "trouble": worker.trouble,
            "running": worker.running,
            "done": worker.jobs_done,
            "isolated": worker.jobs_isolated,
            "hands_lost": worker.hands_lost,
        }
        return (200 if figures["alive"] else 503), "application/json", json.dumps(figures).encode()

    return {"/healthz": health}
