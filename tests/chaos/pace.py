"""What is done to bytes on their way: orders pass on only so far ahead of the faults to come, stores are counted."""

from __future__ import annotations

import re
import threading

CONTROL_ID = re.compile(rb"\x0bMSH\|(?:[^|\r]*\|){8}([^|\r]*)")


C_STORE_RQ = b"\x00\x00\x00\x01\x02\x00\x00\x00\x01\x00"  # (0000,0100) Command Field, US, 0001H (PS3.7 E.1)


class StoreCount:
    """Counts the C-STORE requests that go to the archive. Its ``admit`` is what the DICOM proxy asks."""

    def __init__(self) -> None:
        self.requests = 0

    def admit(self, piece: bytes) -> None:
        self.requests += piece.count(C_STORE_RQ)


class Pace:
    """Holds back messages of orders beyond a number of them. Its ``admit`` is what the MLLP proxy asks.

    The orders that are held wait for their acknowledgement, as with a slow receiver. So a run can't be over before its
    plan is, however fast it is.
    """

    def __init__(self, orders: int | None = 0) -> None:
        self._allowed = orders  # None: all
        self._seen: set[bytes] = set()  # control IDs: a message that is sent again is no further order
        self._changed = threading.Condition()

    def allow(self, orders: int) -> None:
        with self._changed:
            if self._allowed is not None:
                self._allowed = max(self._allowed, orders)
            self._changed.notify_all()

    def open(self) -> None:
        """Hold back nothing any more."""
        with self._changed:
            self._allowed = None
            self._changed.notify_all()

    def admit(self, piece: bytes) -> None:
        new = set(CONTROL_ID.findall(piece))
        with self._changed:
            self._changed.wait_for(lambda: self._allowed is None or len(self._seen | new) <= self._allowed)
            self._seen |= new
