"""The pure parts of the MLLP client: lanes, and when to connect."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from app.util.mllp import Policy
from app.util.mllp.lanes import LaneQueue
from app.util.mllp.reachability import Reachability

POLICY = Policy(connect_attempts=3, connect_delay=0.25, probe_interval=1.0)


@dataclass(frozen=True)
class Item:
    lane: str
    number: int


@given(st.lists(st.sampled_from(["put a", "put b", "put c", "take", "hold", "release"])))
def test_a_lane_keeps_its_order_whatever_is_held_and_released(actions: list[str]) -> None:
    queue: LaneQueue[Item] = LaneQueue()
    done: list[Item] = []
    held: list[str] = []
    for number, action in enumerate(actions):
        if action.startswith("put"):
            queue.put(Item(action[-1], number))
        elif action == "release" and held:
            queue.release(held.pop())
        elif action in ("take", "hold") and (item := queue.take()) is not None:
            assert item.lane not in held
            if action == "hold":
                queue.hold(item)
                held.append(item.lane)
            else:
                done.append(item)
    for lane in held:
        queue.release(lane)
    while (item := queue.take()) is not None:
        done.append(item)

    assert len(done) == sum(action.startswith("put") for action in actions)
    for lane in "abc":
        numbers = [item.number for item in done if item.lane == lane]
        assert numbers == sorted(numbers)


def test_a_held_lane_lets_the_others_pass() -> None:
    queue: LaneQueue[Item] = LaneQueue()
    first, second, other = Item("a", 1), Item("a", 2), Item("b", 3)
    for item in (first, second, other):
        queue.put(item)
    taken = queue.take()
    assert taken is first
    queue.hold(first)
    assert queue.take() is other
    assert queue.take() is None
    queue.release("a")
    assert (queue.take(), queue.take()) == (first, second)


def test_removing_takes_from_held_lanes_too() -> None:
    queue: LaneQueue[Item] = LaneQueue()
    for number in range(4):
        queue.put(Item("ab"[number % 2], number))
    first = queue.take()
    assert first is not None
    queue.hold(first)
    queue.take()
    assert sorted(item.number for item in queue.remove(lambda item: item.number != 3)) == [0, 2]
    queue.release("a")
    assert queue.take() == Item("b", 3)


def test_one_attempt_at_a_time_until_the_first_connection() -> None:
    reachability = Reachability(POLICY)
    assert reachability.may_connect(now=100.0, under_way=0)
    assert not reachability.may_connect(now=100.0, under_way=1)
    reachability.connected()
    assert reachability.may_connect(now=100.0, under_way=7)


def test_failures_back_off_and_then_probe_at_the_interval() -> None:
    reachability = Reachability(POLICY)
    now = 100.0
    waits = []
    given_up = []
    for _ in range(5):
        given_up.append(reachability.failed(now))
        before = now
        while not reachability.may_connect(now, under_way=0):
            now += 0.125
        waits.append(now - before)
    assert given_up == [False, False, True, True, True]
    assert waits == [0.25, 0.5, 1.0, 1.0, 1.0]


def test_failures_side_by_side_count_once() -> None:
    reachability = Reachability(POLICY)
    reachability.connected()
    assert [reachability.failed(now=100.0 + offset) for offset in (0.0, 0.0, 0.01, 0.02)] == [False] * 4
    assert not reachability.failed(now=100.5)
    assert reachability.failed(now=101.5)


def test_a_connection_forgives_all_failures() -> None:
    reachability = Reachability(POLICY)
    for now in (100.0, 101.0):
        reachability.failed(now)
    reachability.connected()
    assert not reachability.failed(now=102.0)
