"""Messages over many persistent connections, each checked against its answer, driven by one thread.

client = MllpClient(Peer("127.0.0.1", 2575), Policy(connections=8), classify)
client.submit(Exchange(key=1, lane="patient", control_id="1", message=b"MSH|..."))
for exchange in client.completed(timeout=1.0): ...
"""

from __future__ import annotations

import selectors
import socket
import threading
import time
from collections import deque
from contextlib import suppress
from queue import Empty, Queue
from typing import Generic

from app.util.mllp.engine import Channel, Engine
from app.util.mllp.exchange import Classify, Detail, Exchange, Policy
from app.util.mllp.link import Peer

_BURST = 1000  # messages taken in at once, so that answers do not wait for a long queue
_TICK = 0.02  # seconds between looks at the time limits while anything is unfinished
_GATHERING = 0.005  # seconds an outcome may wait for others while anything is unfinished: waking who waits costs time


class MllpClient(Generic[Detail]):
    """Submit from one thread; a thread of its own sends, waits and tries again as the policy says.

    Messages of one lane go one after the other, each after the last one's outcome, and a connection has one message in
    flight at a time.
    """

    def __init__(self, peer: Peer, policy: Policy, classify: Classify[Detail]) -> None:
        self._selector = selectors.DefaultSelector()
        self._bell, self._ring = socket.socketpair()
        self._selector.register(self._bell, selectors.EVENT_READ)
        self._asleep = False
        self._closing = False
        self._failure: BaseException | None = None
        self._engine = Engine(peer, policy, classify, self._selector, time.monotonic)
        self._engine_lock = threading.Lock()  # held by the thread except while it waits for events
        self._submitted: deque[Exchange[Detail]] = deque()
        # No SimpleQueue: its get(timeout) waits for ever where a signal's handler outlasts the timeout.
        self._completed: Queue[list[Exchange[Detail]]] = Queue()
        self._thread = threading.Thread(target=self._run, name="mllp-client", daemon=True)
        self._thread.start()

    def submit(self, exchange: Exchange[Detail]) -> None:
        """Queue a message; returns at once."""
        exchange.submitted = time.monotonic()
        self._submitted.append(exchange)
        self._wake()

    def completed(self, timeout: float) -> list[Exchange[Detail]]:
        """Exchanges that came to an end since the last call; waits up to ``timeout`` seconds for the first one.

        Raises:
            RuntimeError: the client's thread died, which is a defect.
        """
        completed: list[Exchange[Detail]] = []
        with suppress(Empty):
            completed += self._completed.get(timeout=0.0 if self._failure else max(timeout, 0.0))
            while True:
                completed += self._completed.get_nowait()
        if self._failure is not None and not completed:
            raise RuntimeError("the MLLP client died") from self._failure
        return completed

    def withdraw(self) -> list[Exchange[Detail]]:
        """Take back what was never transmitted; it will not be among the completed. The rest goes on."""
        with self._engine_lock:
            withdrawn = [*self._submitted, *self._engine.withdraw()]
            self._submitted.clear()
        return withdrawn

    def close(self) -> None:
        """Drop the connections and whatever is unfinished."""
        self._closing = True
        self._wake()
        self._thread.join()
        self._selector.close()
        self._bell.close()
        self._ring.close()

    def _wake(self) -> None:
        if self._asleep:  # set before the thread looks for what was submitted: nothing is overlooked
            self._asleep = False
            self._ring.send(b"\0")

    def _run(self) -> None:
        try:
            self._loop()
        except BaseException as error:
            self._failure = error  # raised where the outcomes are read
            self._completed.put(self._engine.finished)  # who waits for them waits no longer
        finally:
            self._engine.close()

    def _loop(self) -> None:
        next_sweep = 0.0
        while not self._closing:
            events = self._wait()
            with self._engine_lock:
                for channel in events:
                    self._engine.handle(channel)
                self._take_submitted()
                now = time.monotonic()
                if now >= next_sweep:
                    self._engine.sweep()
                    next_sweep = now + _TICK
            self._hand_over(now)

    def _wait(self) -> list[Channel[Detail]]:
        """The channels for which something happened; waits until anything does, or it is time to sweep."""
        self._asleep = True
        events = self._selector.select(self._timeout())
        self._asleep = False
        channels = []
        for key, _ in events:
            if key.fileobj is self._bell:
                self._bell.recv(64)
            else:
                channels.append(key.data)
        return channels

    def _timeout(self) -> float | None:
        if self._submitted or self._closing:
            return 0.0
        if self._engine.finished:
            return _GATHERING
        return _TICK if self._engine.unfinished else None

    def _take_submitted(self) -> None:
        for _ in range(min(len(self._submitted), _BURST)):
            self._engine.add(self._submitted.popleft())

    def _hand_over(self, now: float) -> None:
        finished = self._engine.finished
        if finished and (not self._engine.unfinished or now >= finished[0].ended + _GATHERING):
            self._completed.put(finished)
            self._engine.finished = []
