"""What Prometheus is told of the pools."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest
from prometheus_client.core import Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from app.domain.scaling import ScalingDecision, ScalingKind


class Metrics:
    """A registry of its own; the only label is the pool, of which there are a few."""

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()

        def gauge(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(f"yeeter_autoscaler_{name}", text, labels, registry=registry)

        self._leads = gauge("leads", "1 while this autoscaler is the one that acts.")
        self._replicas = gauge("replicas", "Workers that the pool was last set to have.", "pool")
        self._wanted = gauge("wanted_replicas", "Workers that the load alone asks for.", "pool")
        self._pinned = gauge("pinned", "1 while a person's number goes before the load.", "pool")
        self._backlog = gauge("backlog_jobs", "Jobs that are not done.", "pool", "state")
        self._rate = gauge("worker_jobs_per_second", "Jobs a second that one worker is held to do.", "pool")
        self._measured = gauge("measured", "1 while the pool's load can be measured.", "pool")
        self._decisions = Counter(
            "yeeter_autoscaler_decisions", "Looks at a pool.", ("pool", "kind"), registry=registry
        )
        self._errors = Counter("yeeter_autoscaler_errors", "What could not be done.", registry=registry)

    def tell(self, decisions: Sequence[ScalingDecision], errors: Sequence[str], *, leads: bool) -> None:
        self._leads.set(leads)
        self._errors.inc(len(errors))
        if not leads:  # what it knew when it led is not so for ever
            for each in (self._replicas, self._wanted, self._pinned, self._backlog, self._rate, self._measured):
                each.clear()
        for decision in decisions:
            pool = decision.pool
            self._decisions.labels(pool, decision.kind.value).inc()
            self._replicas.labels(pool).set(decision.after)
            self._pinned.labels(pool).set(decision.kind is ScalingKind.PINNED)
            self._rate.labels(pool).set(decision.per_worker)
            self._measured.labels(pool).set(decision.load is not None)
            if decision.wanted is not None:
                self._wanted.labels(pool).set(decision.wanted)
            if decision.load is not None:
                for state in ("ready", "unacknowledged", "unpublished"):
                    self._backlog.labels(pool, state).set(getattr(decision.load, state))

    def families(self) -> Iterable[Metric]:
        """What would be told now."""
        return self._registry.collect()

    def page(self) -> tuple[int, str, bytes]:
        return 200, CONTENT_TYPE_LATEST, generate_latest(self._registry)
