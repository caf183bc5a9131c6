"""The decision about a pool: what follows from a load, from what was wanted before, and from what a person wants."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.errors import InvalidInput
from app.domain.scaling import (
    Pin,
    PoolLoad,
    PoolPolicy,
    PoolSize,
    ScalingDecision,
    ScalingKind,
    decide,
    parse_pools,
)

NOW = datetime(2026, 1, 5, 8, tzinfo=UTC)
POLICY = PoolPolicy(name="default", min=1, max=20, target_seconds=60.0, jobs_per_second=5.0, scale_in_after=120.0)
EMPTY = PoolLoad(0, 0)


def load(ready: int, unacknowledged: int = 0, **more: Any) -> PoolLoad:
    return PoolLoad(ready, unacknowledged, **more)


def earlier(*wanted: int | None, load: PoolLoad = EMPTY, per_worker: float = 5.0) -> list[ScalingDecision]:
    """Decisions 15 s apart, the last of them 15 s ago."""
    begin = NOW - timedelta(seconds=15 * len(wanted))
    return [
        ScalingDecision(
            "default",
            begin + timedelta(seconds=15 * place),
            ScalingKind.STEADY if each is not None else ScalingKind.HELD,
            each or 1,
            each or 1,
            each,
            "",
            per_worker,
            load if each is not None else None,
        )
        for place, each in enumerate(wanted)
    ]


def decided(
    replicas: int,
    measured: PoolLoad | str,
    history: Sequence[ScalingDecision] = (),
    pin: Pin | None = None,
    policy: PoolPolicy = POLICY,
) -> tuple[ScalingKind, int]:
    decision = decide(policy, NOW, PoolSize(replicas, replicas), measured, history, pin)
    assert decision.before == replicas
    return decision.kind, decision.after


# --- how many are wanted ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("replicas", "measured", "policy", "after"),
    [
        pytest.param(1, load(300), POLICY, 1, id="as much as one does in time"),
        pytest.param(1, load(301), POLICY, 2, id="a job more"),
        pytest.param(1, load(0, 1500), POLICY, 5, id="what workers hold counts"),
        pytest.param(1, load(500, 500, unpublished=500), POLICY, 5, id="and so does what is still to be published"),
        pytest.param(1, load(1_000_000), POLICY, 20, id="never more than max"),
        pytest.param(
            1, load(1_000_000), POLICY.model_copy(update={"step_out": 4}), 5, id="nor more at once than asked"
        ),
        pytest.param(0, load(1), POLICY.model_copy(update={"min": 0}), 1, id="from nothing to one"),
        pytest.param(4, load(0, 600, cpu=0.95), POLICY.model_copy(update={"cpu_target": 0.6}), 7, id="busy CPUs"),
        pytest.param(4, load(600, cpu=0.95), POLICY, 4, id="which are looked at only where asked for"),
        pytest.param(0, EMPTY, POLICY, 1, id="never fewer than min"),
    ],
)
def test_a_pool_grows_at_once(replicas: int, measured: PoolLoad, policy: PoolPolicy, after: int) -> None:
    kind, then = decided(replicas, measured, policy=policy)
    assert then == after
    assert kind is (ScalingKind.OUT if after > replicas else ScalingKind.STEADY)


def test_a_little_more_is_near_enough() -> None:
    assert decided(20, load(20 * 300 + 1), policy=POLICY.model_copy(update={"max": 40})) == (ScalingKind.STEADY, 20)
    assert decided(20, load(23 * 300), policy=POLICY.model_copy(update={"max": 40})) == (ScalingKind.OUT, 25)


def test_what_arrives_keeps_its_workers_though_the_queue_is_empty() -> None:
    """12 jobs a second want three workers that do 5, also when these keep up and nothing is left over."""
    keeping_up = load(0, 3, workers=3, jobs_per_second=12.0)
    assert decide(POLICY, NOW, PoolSize(3, 3), keeping_up, earlier(*[3] * 9, load=keeping_up)).wanted == 3
    growing = load(150, 3, workers=3, jobs_per_second=12.0)  # by 10 a second
    assert decide(POLICY, NOW, PoolSize(3, 3), growing, earlier(*[3] * 9, load=keeping_up)).wanted == 5


def test_a_pool_shrinks_once_in_a_while() -> None:
    history = earlier(*[1] * 9)
    history[-3] = replace(history[-3], kind=ScalingKind.IN, before=12, after=10)
    assert decided(10, EMPTY, history) == (ScalingKind.STEADY, 10)


# --- fewer ------------------------------------------------------------------------------------------------------------


def test_a_pool_shrinks_when_fewer_were_enough_for_a_while() -> None:
    assert decided(10, EMPTY, earlier(*[1] * 9)) == (ScalingKind.IN, 1)


@pytest.mark.parametrize(
    "history",
    [
        pytest.param([], id="nothing is known of before"),
        pytest.param(earlier(1, 1, 1), id="we have not looked for so long"),
        pytest.param(earlier(1, 1, 1, 1, 10, 1, 1, 1, 1, 1), id="so many were wanted a moment ago"),
        pytest.param(earlier(1, 1, 1, 1, None, 1, 1, 1, 1, 1), id="for a moment nothing could be measured"),
    ],
)
def test_otherwise_it_stays(history: list[ScalingDecision]) -> None:
    assert decided(10, EMPTY, history) == (ScalingKind.STEADY, 10)


def test_it_shrinks_to_the_most_that_was_wanted_meanwhile() -> None:
    assert decided(10, EMPTY, earlier(1, 1, 10, 3, 4, 6, 4, 3, 2, 1, 1)) == (ScalingKind.IN, 6)


def test_it_shrinks_by_steps() -> None:
    policy = POLICY.model_copy(update={"step_in": 2})
    assert decided(10, EMPTY, earlier(*[1] * 9), policy=policy) == (ScalingKind.IN, 8)


def test_without_a_window_it_shrinks_at_once() -> None:
    assert decided(10, EMPTY, policy=POLICY.model_copy(update={"scale_in_after": 0.0})) == (ScalingKind.IN, 1)


# --- what can't be measured, and people -------------------------------------------------------------------------------


@pytest.mark.parametrize("replicas", [0, 1, 7, 20, 50])
def test_what_can_not_be_measured_changes_nothing(replicas: int) -> None:
    decision = decide(POLICY, NOW, PoolSize(replicas, replicas), "the broker is away", earlier(*[1] * 9))
    assert (decision.kind, decision.after, decision.wanted) == (ScalingKind.HELD, replicas, None)
    assert decision.reason == "not measured: the broker is away"


def test_a_persons_number_goes_before_the_load_until_it_expires() -> None:
    pin = Pin("default", 7, NOW + timedelta(seconds=1), "ada")
    assert decided(1, load(1_000_000), pin=pin) == (ScalingKind.PINNED, 7)
    assert decided(7, "the broker is away", pin=pin) == (ScalingKind.PINNED, 7)
    expired = Pin("default", 7, NOW, "ada")
    assert decided(1, load(1_000_000), pin=expired) == (ScalingKind.OUT, 20)


# --- what a worker does -----------------------------------------------------------------------------------------------


def per_worker(measured: PoolLoad, history: Sequence[ScalingDecision]) -> float:
    return decide(POLICY, NOW, PoolSize(4, 4), measured, history).per_worker


def test_what_a_worker_does_is_learnt_while_jobs_are_waiting() -> None:
    waiting = load(100, workers=4, jobs_per_second=40.0)
    assert per_worker(waiting, earlier(4, load=load(100))) == 7.5  # halfway from 5 to 10
    assert per_worker(waiting, earlier(4, load=EMPTY)) == 5.0  # the queue was empty: they had less to do
    assert per_worker(load(0, 4, workers=4, jobs_per_second=1.0), earlier(4, load=load(100))) == 5.0
    assert per_worker(load(100, workers=4), earlier(4, load=load(100))) == 5.0  # they only just began
    assert per_worker(load(100), earlier(4, load=load(100), per_worker=3.0)) == 3.0  # none of them tells of itself
    assert per_worker(waiting, []) == 5.0


loads = st.builds(
    PoolLoad,
    st.integers(0, 10**6),
    st.integers(0, 10**4),
    st.integers(0, 10**6),
    st.integers(0, 30),
    st.floats(0, 1000),
    st.none() | st.floats(0, 2),
)
policies = st.builds(
    lambda low, more, **rest: PoolPolicy(name="p", min=low, max=low + more, **rest),
    st.integers(0, 5),
    st.integers(1, 40),
    target_seconds=st.floats(1, 600),
    jobs_per_second=st.floats(0.01, 100),
    tolerance=st.floats(0, 0.5),
    scale_in_after=st.floats(0, 600),
    step_out=st.integers(1, 50),
    step_in=st.integers(1, 50),
    cpu_target=st.none() | st.floats(0.1, 1),
)


@given(policies, st.integers(0, 60), loads | st.just("away"), st.lists(st.none() | st.integers(0, 45), max_size=50))
def test_whatever_comes_it_stays_within_its_bounds(
    policy: PoolPolicy, replicas: int, measured: PoolLoad | str, wanted: list[int | None]
) -> None:
    decision = decide(policy, NOW, PoolSize(replicas, replicas), measured, earlier(*wanted))
    assert -policy.step_in <= decision.after - replicas <= policy.step_out
    match decision.kind:
        case ScalingKind.OUT:
            assert replicas < decision.after <= policy.max
        case ScalingKind.IN:
            assert policy.min <= decision.after < replicas
        case _:
            assert decision.after == replicas
    assert (decision.kind is ScalingKind.HELD) is isinstance(measured, str)
    assert decision.reason


# --- the file of pools ------------------------------------------------------------------------------------------------


def test_pools_are_read_and_each_mistake_is_named() -> None:
    pools = parse_pools([{"name": "a"}, {"name": "b", "deployment": "yeeter-worker-send", "queues": ["send_dicom"]}])
    assert [(pool.name, pool.queues) for pool in pools] == [("a", ("default",)), ("b", ("send_dicom",))]


@pytest.mark.parametrize(
    ("document", "field"),
    [
        (None, ""),
        ([], ""),
        ({"name": "a"}, ""),
        ([{}], "0.name"),
        ([{"name": "A"}], "0.name"),
        ([{"name": "a", "max": 0}], "0.max"),
        ([{"name": "a", "min": 5, "max": 4}], "0"),
        ([{"name": "a", "workers": 4}], "0.workers"),
        ([{"name": "a", "queues": []}], "0.queues"),
        ([{"name": "a"}, {"name": "a", "deployment": "x"}], "1.name"),
        ([{"name": "a"}, {"name": "b"}], "1.deployment"),
    ],
)
def test_a_wrong_file_of_pools(document: Any, field: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        parse_pools(document)
    assert [problem.field for problem in refused.value.problems] == [field]
