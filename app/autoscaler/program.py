"""``yeeter autoscaler``: looks after the worker pools until it is told to stop."""

from __future__ import annotations

import signal
import threading
import time

import structlog

from app.autoscaler.metrics import Metrics
from app.bootstrap import bootstrap
from app.domain.errors import InvalidInput, Problem
from app.runs.tending.scaling import Autoscaler
from app.settings import Settings
from app.util.status_server import Answer, serve_status

log = structlog.get_logger()

LATE = 3  # intervals after the last round, beyond which it is held to be stuck


def run_autoscaler(settings: Settings, *, once: bool = False) -> int:
    """Look after the pools until SIGTERM or SIGINT, or ``once``.

    0; with ``once`` 1 when something could not be done, or another autoscaler leads.

    Raises:
        InvalidInput: no broker is configured, or a setting can't be used.
    """
    if not settings.broker_url:
        cure = "set it: without a broker, a run's workers are threads of its own"
        raise InvalidInput(Problem("RABBITMQ_URL", "an autoscaler needs a broker", cure))
    if once and settings.autoscaler_platform == "local":
        cure = "leave --once away, or scale a Deployment (YEETER_AUTOSCALER_PLATFORM=kubernetes)"
        raise InvalidInput(Problem("--once", "workers of this machine end with their autoscaler", cure))
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with bootstrap(settings) as bundle, bundle.autoscaler() as autoscaler:
        rounds = _Rounds(autoscaler, settings.autoscaler_interval)
        if once:
            return 0 if rounds.make() and autoscaler.leads else 1
        with serve_status(settings.autoscaler_port, rounds.routes()):
            log.info("looking after worker pools", platform=settings.autoscaler_platform)
            while not stop.is_set():
                rounds.make()
                stop.wait(settings.autoscaler_interval)
    log.info("stopped")
    return 0


class _Rounds:
    def __init__(self, autoscaler: Autoscaler, interval: float) -> None:
        self._autoscaler = autoscaler
        self._interval = interval
        self._metrics = Metrics()
        self._last = time.monotonic()

    def make(self) -> bool:
        """Whether everything could be done."""
        decisions, errors = self._autoscaler.tick()
        for error in errors:
            log.error("not done", reason=error)
        for decision in decisions:
            log.debug("decided", pool=decision.pool, kind=decision.kind, after=decision.after, why=decision.reason)
        self._metrics.tell(decisions, errors, leads=self._autoscaler.leads)
        self._last = time.monotonic()
        return not errors

    def routes(self) -> dict[str, Answer]:
        return {"/healthz": self._health, "/readyz": self._health, "/metrics": self._metrics.page}

    def _health(self) -> tuple[int, str, bytes]:
        seconds = time.monotonic() - self._last
        alive = seconds < LATE * self._interval
        text = "leads" if self._autoscaler.leads else "stands by"
        return (200 if alive else 503), "text/plain", f"{text}, last round {seconds:.0f} s ago\n".encode()
