"""A pool of workers in simulated time: jobs arrive, workers start late and work at their own rate, somebody decides.

Two that decide: ours, and what a HorizontalPodAutoscaler makes of KEDA's RabbitMQ scaler (``mode: QueueLength``):

    wanted = ceil(messages / value)         left alone within a tolerance of 0.1 of the present number
    up to 4 more or twice as many in 15 s   at once
    fewer                                   to the most that was wanted within the last 300 s

(Kubernetes' defaults for ``behavior``; KEDA documents ``value`` as the messages that one replica is to have.)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from math import ceil
from typing import Protocol

from app.domain.scaling import PoolLoad, PoolPolicy, PoolSize, ScalingDecision, decide

BEGIN = datetime(2026, 1, 5, 8, tzinfo=UTC)
INTERVAL = 15  # seconds between two looks
START_SECONDS = 20  # from the wish for a worker to its first job
WINDOW = 30  # seconds that workers' rates are over


@dataclass(frozen=True)
class Load:
    """``arrivals``: jobs that come in each second; ``rate``: what one worker really does a second.

    ``turns``: how often it rises and falls; ``unmeasured``: seconds in which the broker can't be asked.
    """

    name: str
    arrivals: Sequence[int]
    rate: float = 5.0
    turns: int = 1
    unmeasured: range = range(0)


@dataclass
class Outcome:
    """``sizes`` and ``backlogs`` by second; ``changes`` of the wanted number."""

    sizes: list[int] = field(default_factory=list)
    backlogs: list[float] = field(default_factory=list)
    jobs: int = 0
    changes: int = 0

    @property
    def drained_in(self) -> int:
        """Seconds: the longest time without an empty queue."""
        longest = now = 0
        for backlog in self.backlogs:
            now = now + 1 if backlog else 0
            longest = max(longest, now)
        return longest

    @property
    def mean_wait(self) -> float:
        """Seconds of a job (Little's law)."""
        return sum(self.backlogs) / self.jobs

    @property
    def reversals(self) -> int:
        """How often it began to shrink after it grew, or to grow after it shrank."""
        ways = [now > before for before, now in pairwise(self.sizes) if now != before]
        return sum(now != before for before, now in pairwise(ways))

    @property
    def replica_seconds(self) -> int:
        return sum(self.sizes)


class Decider(Protocol):
    def __call__(self, second: int, replicas: int, load: PoolLoad | str) -> int: ...


def ours(policy: PoolPolicy) -> Decider:
    history: list[ScalingDecision] = []

    def decider(second: int, replicas: int, load: PoolLoad | str) -> int:
        size = PoolSize(replicas, replicas)
        history.append(decide(policy, BEGIN + timedelta(seconds=second), size, load, history))
        return history[-1].after

    return decider


def keda(value: float, least: int, most: int, stabilisation: int = 300) -> Decider:
    wishes: list[tuple[int, int]] = []

    def decider(second: int, replicas: int, load: PoolLoad | str) -> int:
        if isinstance(load, str):  # an HPA without its metric leaves things alone
            return replicas
        messages = load.ready + load.unacknowledged
        wish = min(max(ceil(messages / value), least), most)
        if abs(messages / value / replicas - 1) <= 0.1:
            wish = replicas
        wishes.append((second, wish))
        if wish > replicas:
            return min(wish, max(replicas + 4, replicas * 2))
        enough = max(each for at, each in wishes if at > second - stabilisation)
        return min(enough, replicas)

    return decider


def play(load: Load, decider: Decider, least: int = 1, patience: int = 3600) -> Outcome:
    """Until everything has arrived, is done, and the pool is as small as it was; or for ``patience`` seconds more."""
    backlog, done = 0.0, [0.0]
    wished: list[int] = []  # when each worker beyond the first was wished for
    replicas, outcome = least, Outcome(jobs=sum(load.arrivals))
    for second in range(len(load.arrivals) + patience):
        backlog += load.arrivals[second] if second < len(load.arrivals) else 0
        present = least + sum(second >= at + START_SECONDS for at in wished)
        finished = min(backlog, present * load.rate)
        backlog -= finished
        done.append(done[-1] + finished)
        outcome.sizes.append(replicas)
        outcome.backlogs.append(backlog)
        if second % INTERVAL == INTERVAL - 1:
            measured = _measured(load, second, backlog, present, done)
            wanted = decider(second, replicas, measured)
            outcome.changes += wanted != replicas
            wished = wished[: max(wanted - least, 0)] + [second] * (wanted - least - len(wished))
            replicas = wanted
        if second >= len(load.arrivals) and not backlog and replicas == least:
            outcome.sizes.append(replicas)
            break
    return outcome


def _measured(load: Load, second: int, backlog: float, present: int, done: Sequence[float]) -> PoolLoad | str:
    if second in load.unmeasured:
        return "the broker is away"
    held = min(backlog, present * 32)
    late = done[-1] - done[max(len(done) - 1 - WINDOW, 0)]
    return PoolLoad(round(backlog - held), round(held), 0, present, late / WINDOW)
