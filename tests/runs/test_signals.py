"""A signal whose handler takes its time: who was waiting for a moment goes on after that."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

from app.runs.working.desk import Desk
from app.util.mllp import MllpClient, Peer, Policy
from tests.runs.test_desk import claimed, finish
from tests.services.processes import free_port

MOMENT = 0.05  # seconds that are waited
HANDLING = 0.2  # seconds that the handler takes


@pytest.fixture
def slow_handler() -> Iterator[list[int]]:
    """Of SIGUSR1; the list has the signals that it has handled."""
    handled: list[int] = []

    def handle(number: int, _frame: object) -> None:
        time.sleep(HANDLING)
        handled.append(number)

    before = signal.signal(signal.SIGUSR1, handle)
    yield handled
    signal.signal(signal.SIGUSR1, before)


def wait_through_a_signal(wait: Callable[[float], object], handled: list[int]) -> None:
    """Signals come to the main thread, which is where tests run."""
    sending = threading.Timer(MOMENT / 2, os.kill, [os.getpid(), signal.SIGUSR1])
    sending.start()
    while not handled:
        wait(MOMENT)
    sending.join()


@pytest.mark.timeout(30)
def test_the_finisher_waits_for_jobs_no_longer_than_it_says(slow_handler: list[int]) -> None:
    desk = Desk()

    def gather(seconds: float) -> None:
        desk.put([claimed("0")])
        desk.put_done(claimed("0"), finish("0"))
        desk.take_done(2, seconds, lambda: True)

    wait_through_a_signal(gather, slow_handler)


@pytest.mark.timeout(30)
def test_the_emission_waits_for_outcomes_no_longer_than_it_says(slow_handler: list[int]) -> None:
    peer = Peer("127.0.0.1", free_port())
    with closing(MllpClient(peer, Policy(), lambda _message, _control_id: None)) as client:
        wait_through_a_signal(client.completed, slow_handler)
