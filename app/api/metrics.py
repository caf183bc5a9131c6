"""What Prometheus is told by the API: its own requests, and the whole system as it can be seen from here.

Everything but the requests is asked for when somebody scrapes. What can't be asked is left out, and ``yeeter_up`` says
what it was; a figure is never made up.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Histogram, Info, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app import __version__
from app.api.monitoring_overview import broker_health, database_health, jobs_queued, worker_beats
from app.bootstrap import Bundle
from app.domain.errors import Unavailable
from app.domain.work import DeadLetterState, DestinationState
from app.ports import DEAD_QUEUE, QueueDepth
from app.runs.reading.overview import known_queues

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)  # seconds
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
NOWHERE = "none"  # the route of what has none: paths are anybody's to make up, and methods, too


class ApiMetrics:
    """A registry of its own. No label has a run, an order, a worker or a destination in it."""

    def __init__(self, bundle: Bundle, feed_lag: Callable[[], float]) -> None:
        """``feed_lag``: seconds by which the live feed is behind."""
        self._registry = registry = CollectorRegistry()
        self._requests = Counter(
            "yeeter_api_requests",
            "Requests that were let in and answered.",
            ("method", "route", "status"),
            registry=registry,
        )
        self._seconds = Histogram(
            "yeeter_api_request_seconds",
            "Time to the end of the answer.",
            ("method", "route"),
            registry=registry,
            buckets=BUCKETS,
        )
        Info("yeeter_build", "Always 1; the label is the program's version.", registry=registry).info(
            {"version": __version__}
        )
        registry.register(_System(bundle, feed_lag))

    def counting(self, app: ASGIApp) -> ASGIApp:
        """The application, with its requests counted by the template of their route."""

        async def counted(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != "http":
                await app(scope, receive, send)
                return
            status, begun = 500, time.monotonic()

            async def sending(message: Message) -> None:
                nonlocal status
                if message["type"] == "http.response.start":
                    status = message["status"]
                await send(message)

            try:
                await app(scope, receive, sending)
            finally:
                route = getattr(scope.get("route"), "path", NOWHERE)
                self.count(scope["method"], route, status, time.monotonic() - begun)

        return counted

    def count(self, method: str, route: str, status: int, seconds: float) -> None:
        """One request that was answered."""
        method = method if method in METHODS else NOWHERE
        self._requests.labels(method, route, status).inc()
        self._seconds.labels(method, route).observe(seconds)

    def families(self) -> Iterable[Metric]:
        """What would be told now."""
        return self._registry.collect()

    def page(self) -> bytes:
        """In Prometheus's text format."""
        return generate_latest(self._registry)


class _System(Collector):
    """Database and broker are each tried once, so that one that is away costs one time limit."""

    def __init__(self, bundle: Bundle, feed_lag: Callable[[], float]) -> None:
        self._bundle = bundle
        self._feed_lag = feed_lag

    def collect(self) -> Iterator[Metric]:
        bundle = self._bundle
        services = {"database": database_health(bundle).ready, "broker": broker_health(bundle).ready}
        queues = {bundle.settings.rabbitmq_order_queue, DEAD_QUEUE}
        if services["database"]:
            try:
                queues |= set(known_queues(bundle.database, bundle.settings.rabbitmq_order_queue))
                yield from self._rows()
            except Unavailable:
                services["database"] = False
        if services["broker"] and not bundle.is_embedded:
            yield from self._queues(queues)
        yield _by("up", "service", "1 while the API can use the service.", services)
        text = "Time since the feeds of the runs that clients follow were last read to their ends; the worst one."
        yield _gauge("api_feed_lag_seconds", text, self._feed_lag())

    def _rows(self) -> list[Metric]:
        """What the database knows, all or nothing. Raises Unavailable."""
        queries, beats = self._bundle.database.queries, worker_beats(self._bundle)
        totals, letters, destinations = queries.totals(), queries.dead_letter_counts(), queries.destinations()
        running = sum(beat.running for beat in beats)
        jobs = {
            "queued": jobs_queued(totals, running),
            "running": running,
            "unpublished": totals.unpublished,
            "parked": totals.parked,
        }
        is_open = DeadLetterState.OPEN
        open_letters = sum(each["count"] for each in letters if each["state"] == is_open)
        states = {state: sum(row.state is state for row in destinations) for state in DestinationState}
        return [
            _by("runs", "state", "Runs, those that have ended included.", totals.runs),
            _by("orders", "state", "Orders of runs that have not ended.", totals.orders),
            _by("jobs", "state", "Jobs of runs that have not ended, and are not done.", jobs),
            _gauge("outbox_due", "Jobs that could be published now.", totals.due),
            _gauge("dead_letters_open", "Dead letters that nobody has retried or discarded.", open_letters),
            _by("destinations", "state", "Destinations that something was held against. OPEN: away.", states),
            _gauge("workers_alive", "Workers that were heard of in the last seconds.", len(beats)),
            _gauge("workers_busy", "Workers that have jobs.", sum(beat.running > 0 for beat in beats)),
        ]

    def _queues(self, names: Iterable[str]) -> list[Metric]:
        depths: dict[str, QueueDepth] = {}
        for name in sorted(names):
            try:
                depths[name] = self._bundle.broker.depth(name)
            except Unavailable:  # it has not been made yet
                continue
        ready = {name: depth.ready for name, depth in depths.items()}
        consumers = {name: depth.consumers for name, depth in depths.items()}
        return [
            _by("queue_messages_ready", "queue", "Messages that wait in the queue.", ready),
            _by("queue_consumers", "queue", "Consumers of the queue; a fast worker is two.", consumers),
        ]


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"yeeter_{name}", text, value)


def _by(name: str, label: str, text: str, values: Mapping[Any, float]) -> Metric:
    family = GaugeMetricFamily(f"yeeter_{name}", text, labels=[label])
    for key, value in values.items():
        family.add_metric([str(key)], value)
    return family
