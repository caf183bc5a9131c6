"""The client's state machine: which message is on which connection, and what happens to it.

    queued ──► in flight ──► answered: accepted, rejected, or error on the last attempt
      ▲            │
      └── held ◄───┴── error, or outcome unknown (time limit, lost connection, unreadable answer): after a delay, again

    queued or held ──► unreachable: no connection can be made

Single-threaded and without a loop of its own: :mod:`app.util.mllp.client` waits for events and calls in.
"""

from __future__ import annotations

import heapq
import itertools
import zlib
from collections.abc import Callable
from selectors import BaseSelector
from typing import Generic

from app.util.mllp.exchange import Classify, Detail, End, Exchange, Policy
from app.util.mllp.framing import FrameTooLong
from app.util.mllp.lanes import LaneQueue
from app.util.mllp.link import CouldNotConnect, Link, Peer, describe
from app.util.mllp.reachability import Reachability


class Channel(Generic[Detail]):
    """One persistent connection, made when it is needed, and the lanes that use it."""

    def __init__(self) -> None:
        self.queue: LaneQueue[Exchange[Detail]] = LaneQueue()
        self.link: Link | None = None
        self.in_flight: Exchange[Detail] | None = None
        self.ignored = 0  # answers to something else while this one was in flight
        self.deadline = 0.0  # of the connection attempt or the answer, time.monotonic()

    @property
    def connected(self) -> bool:
        return self.link is not None and self.link.ready

    @property
    def connecting(self) -> bool:
        return self.link is not None and not self.link.ready


class Engine(Generic[Detail]):
    """Sends messages over the channels of one peer; done ones are in ``finished``, for the caller to take out."""

    def __init__(
        self,
        peer: Peer,
        policy: Policy,
        classify: Classify[Detail],
        selector: BaseSelector,
        clock: Callable[[], float],
    ) -> None:
        self.finished: list[Exchange[Detail]] = []
        self.unfinished = 0
        self._peer = peer
        self._policy = policy
        self._classify = classify
        self._selector = selector
        self._clock = clock
        self._reachability = Reachability(policy)
        self._channels: list[Channel[Detail]] = [Channel() for _ in range(policy.connections)]
        self._unconnected: dict[Channel[Detail], None] = {}  # that need a connection, in order
        self._holds: list[tuple[float, int, Channel[Detail], str]] = []  # a heap: until when, -, where, lane
        self._hold_order = itertools.count()

    def add(self, exchange: Exchange[Detail]) -> None:
        """Queue a message; it goes at once if its channel is free. A lane always uses the same channel."""
        self.unfinished += 1
        channel = self._channels[zlib.crc32(exchange.lane.encode()) % len(self._channels)]
        channel.queue.put(exchange)
        self._pump(channel)

    def handle(self, channel: Channel[Detail]) -> None:
        """The selector has an event for the channel."""
        link = channel.link
        assert link is not None  # whoever closes it takes it out of the selector
        if link.ready:
            self._receive(channel, link)
        else:
            self._advance(channel, link)
        self._pump(channel)

    def sweep(self) -> None:
        """What time brings about: limits that have passed, lanes to release, connections to try again."""
        now = self._clock()
        while self._holds and self._holds[0][0] <= now:
            _, _, channel, lane = heapq.heappop(self._holds)
            channel.queue.release(lane)
            self._pump(channel)
        for channel in self._channels:
            if (channel.in_flight is not None or channel.connecting) and now >= channel.deadline:
                self._expire(channel)
                self._pump(channel)
        self._connect()

    def withdraw(self) -> list[Exchange[Detail]]:
        """Take back every message that was never transmitted."""
        withdrawn = [one for channel in self._channels for one in channel.queue.remove(lambda one: one.attempts == 0)]
        self.unfinished -= len(withdrawn)
        return withdrawn

    def close(self) -> None:
        for channel in self._channels:
            self._close_link(channel)

    # --- Connecting ---

    def _connect(self) -> None:
        while self._unconnected and self._reachability.may_connect(self._clock(), self._connecting()):
            channel = next(iter(self._unconnected))
            del self._unconnected[channel]
            if not channel.queue:
                continue  # withdrawn in the meantime
            channel.deadline = self._clock() + self._peer.connect_timeout
            try:
                channel.link = Link(self._peer, self._selector, channel)
            except CouldNotConnect as error:
                self._not_connected(channel, error)

    def _connecting(self) -> int:
        return sum(channel.connecting for channel in self._channels)

    def _advance(self, channel: Channel[Detail], link: Link) -> None:
        try:
            link.advance()
        except CouldNotConnect as error:
            self._not_connected(channel, error)
        else:
            if link.ready:
                self._reachability.connected()
                self._connect()  # the others were waiting for this one to show that somebody is there

    def _not_connected(self, channel: Channel[Detail], error: CouldNotConnect) -> None:
        self._close_link(channel)
        if channel.queue:
            self._unconnected[channel] = None
        if self._reachability.failed(self._clock()):
            self._give_up(str(error))

    def _give_up(self, reason: str) -> None:
        """Nobody is there: whatever waits for a connection ends now, instead of each waiting for its own attempts."""
        self._unconnected.clear()
        for channel in self._channels:
            if not channel.connected:
                for exchange in channel.queue.remove(lambda _: True):
                    self._end(exchange, "unreachable", reason)

    def _close_link(self, channel: Channel[Detail]) -> None:
        if channel.link is not None:
            channel.link.close()
            channel.link = None

    # --- Sending and receiving ---

    def _pump(self, channel: Channel[Detail]) -> None:
        """Send the next message if the channel is free, connecting first if need be."""
        while channel.in_flight is None and channel.queue:
            link = channel.link
            if link is None:
                self._unconnected[channel] = None
                self._connect()
                return
            if not link.ready:
                return
            exchange = channel.queue.take()
            if exchange is not None:
                self._transmit(channel, link, exchange)

    def _transmit(self, channel: Channel[Detail], link: Link, exchange: Exchange[Detail]) -> None:
        exchange.attempts += 1
        exchange.possibly_duplicated = exchange.in_doubt
        exchange.answer, exchange.answer_message = None, b""
        exchange.started = self._clock()
        if exchange.attempts == 1:
            exchange.begun = exchange.started
        channel.in_flight = exchange
        channel.ignored = 0
        channel.deadline = exchange.started + self._policy.answer_timeout
        try:
            link.send(exchange.message)
        except OSError as error:
            self._lose(channel, describe(error))

    def _receive(self, channel: Channel[Detail], link: Link) -> None:
        try:
            link.flush()
            for message in link.receive():
                self._read(channel, message)
        except (OSError, FrameTooLong) as error:
            self._lose(channel, describe(error))

    def _read(self, channel: Channel[Detail], message: bytes) -> None:
        exchange = channel.in_flight
        if exchange is None:
            return  # nothing was asked, so it answers nothing
        try:
            answer = self._classify(message, exchange.control_id)
        except ValueError as error:
            raise ConnectionAbortedError(f"unreadable acknowledgement: {error}") from error
        if answer is None:
            channel.ignored += 1
            return
        channel.in_flight = None
        exchange.answer, exchange.answer_message = answer, message
        exchange.ended = self._clock()
        exchange.errors += answer.verdict == "error"
        if answer.verdict == "error" and exchange.attempts < self._policy.attempts:
            self._hold(channel, exchange)
        else:
            self._finish(exchange, "")

    def _expire(self, channel: Channel[Detail]) -> None:
        exchange = channel.in_flight
        if exchange is None:
            timeout = f"no connection within {self._peer.connect_timeout:g} s; is the address right?"
            self._not_connected(channel, CouldNotConnect(self._peer, TimeoutError(timeout)))
            return
        exchange.timeouts += 1
        begun = channel.link is not None and channel.link.receiving
        reason = f"{'incomplete' if begun else 'no'} acknowledgement within {self._policy.answer_timeout:g} s"
        self._lose(channel, f"{reason}; {channel.ignored} for another message ignored" if channel.ignored else reason)

    def _lose(self, channel: Channel[Detail], reason: str) -> None:
        """The connection is of no more use: if a message is in flight, its outcome is unknown."""
        self._close_link(channel)
        exchange, channel.in_flight = channel.in_flight, None
        if exchange is None:
            return
        exchange.in_doubt = True
        exchange.ended = self._clock()
        if self._policy.resend_unknown and exchange.attempts < self._policy.attempts:
            self._hold(channel, exchange)
        else:
            self._finish(exchange, reason)

    def _hold(self, channel: Channel[Detail], exchange: Exchange[Detail]) -> None:
        """Send it again after a delay, before anything else of its lane."""
        channel.queue.hold(exchange)
        until = self._clock() + self._policy.resend_delay * 2 ** (exchange.attempts - 1)
        heapq.heappush(self._holds, (until, next(self._hold_order), channel, exchange.lane))

    def _finish(self, exchange: Exchange[Detail], reason: str) -> None:
        """Its outcome is what was answered last; nothing valid, and the outcome is unknown for this reason."""
        self._end(exchange, exchange.answer.verdict if exchange.answer else "unknown", reason)

    def _end(self, exchange: Exchange[Detail], verdict: End, reason: str) -> None:
        exchange.verdict = verdict
        exchange.reason = reason
        self.unfinished -= 1
        self.finished.append(exchange)
