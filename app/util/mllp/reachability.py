"""When a client may try to connect: all at once to a peer that answers, one at a time and ever less often otherwise."""

from __future__ import annotations

from app.util.mllp.exchange import Policy


class Reachability:
    """What connection attempts have told of one peer. Times are ``time.monotonic()`` seconds."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._reachable = False  # not before the first connection: one attempt shows whether anybody is there
        self._failures = 0
        self._not_before = 0.0

    def may_connect(self, now: float, under_way: int) -> bool:
        """Whether another attempt may begin, while ``under_way`` others have not ended."""
        return self._reachable or (under_way == 0 and now >= self._not_before)

    def connected(self) -> None:
        self._reachable = True
        self._failures = 0
        self._not_before = 0.0

    def failed(self, now: float) -> bool:
        """Take note of a failed attempt; whether the peer now counts as unreachable.

        It does after ``connect_attempts`` failures in a row, and from then on with each further one.
        """
        self._reachable = False
        if now < self._not_before:  # begun side by side with one that failed already: the same fault
            return False
        self._failures += 1
        given_up = self._failures >= self._policy.connect_attempts
        backoff = self._policy.connect_delay * 2 ** (self._failures - 1)
        self._not_before = now + (self._policy.probe_interval if given_up else backoff)
        return given_up
