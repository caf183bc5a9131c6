"""One peer's connection to a pynetdicom server, so that no peer can take what the others need.

Of pynetdicom's own: requests are collected while nobody answers them, and each connection asks a thousand times a
second whether anything came, in each of its two threads, so that a hundred silent peers take a whole processor.
"""

from __future__ import annotations

import contextlib
import queue
import select
import ssl
import time
from dataclasses import dataclass, field
from typing import Any

import structlog
from pynetdicom.fsm import StateMachine

from app.util.dicom_socket import LimitedSocket, ReadLimits

AWAITING_REQUEST, AWAITING_END = "Sta2", "Sta13"  # states of the upper layer, PS3.8 section 9.2.2

_CHUNK = 1 << 16
_DRAINED = 64  # chunks

_BEGINS_TO_NAP = 0.5  # seconds without a byte
_LONGEST_NAP = 0.25  # seconds
_NAP = 1 / 20  # of the silence so far: so much later may what ends it be noticed

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class PeerLimits:
    """What one peer, or all of them, may take of the receiver."""

    waiting: int = 64  # connections that have not asked for an association; the one that waits longest makes room
    associations: int = 256  # more are rejected as transient
    pipelined: int = 8  # requests that may wait; without negotiation it is one (PS3.7 annex D.3.3.3)
    read: ReadLimits = field(default_factory=ReadLimits)


class PeerSocket(LimitedSocket):
    """The longer a peer is silent, the less often it is asked whether there is anything to read."""

    def __init__(self, assoc: Any, connected: Any, limits: PeerLimits) -> None:
        super().__init__(assoc, connected, limits.read)
        self._pipelined = limits.pipelined
        self._poll = select.poll()
        self._poll.register(connected, select.POLLIN)
        assoc.dimse.msg_queue = _Messages(self)

    @property
    def ready(self) -> bool:
        """Whether there is something to read; False while enough requests wait for their answers.

        Nor before the state machine knows what was read last, or did: that may have been the end.
        """
        if self.socket is None or not self.event_queue.empty():
            return False
        if self.assoc.dimse.msg_queue.qsize() >= self._pipelined:
            return False
        if isinstance(self.connected, ssl.SSLSocket) and self.connected.pending():
            return True
        if self.connected.fileno() < 0:
            self.event_queue.put("Evt17")  # the transport connection is closed
            return False
        if self.assoc.dul.state_machine.current_state == AWAITING_END:
            self._drain()
            return False
        return bool(self._poll.poll(self.nap() * 1000))

    def _drain(self) -> None:
        """Take what still comes, though nobody wants it; pynetdicom's own would wait for whole PDUs.

        With bytes unread, the end of the connection is a reset, which may take from the peer what it was told last.
        """
        if isinstance(self.connected, ssl.SSLSocket):
            return  # it might wait for a whole record
        with contextlib.suppress(OSError):
            for _ in range(_DRAINED):
                if not self._poll.poll(0) or not self.connected.recv(_CHUNK):
                    return

    def nap(self) -> float:
        """How long to wait for something to happen, in seconds."""
        if self.assoc.dul.state_machine.current_state == AWAITING_REQUEST:
            return _LONGEST_NAP  # there is nothing that could be sent meanwhile
        silence = time.monotonic() - self.latest
        return min(silence * _NAP, _LONGEST_NAP) if silence > _BEGINS_TO_NAP else 0.0


class _Messages(queue.Queue[Any]):
    """The requests that were read whole. Asked in vain, it naps: the thread that asks would otherwise only poll."""

    def __init__(self, connection: PeerSocket) -> None:
        super().__init__()
        self._connection = connection

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        nap = 0.0 if block else self._connection.nap()
        return super().get(True, nap) if nap else super().get(block, timeout)


class PeerStateMachine(StateMachine):  # type: ignore[misc]
    """After a PDU that makes no sense, pynetdicom's own ends its thread with a traceback and leaves the connection."""

    def do_action(self, event: str) -> None:
        try:
            super().do_action(event)
        except Exception as error:  # it raises many kinds
            log.warning("association ended", reason=repr(error), peer=self.dul.assoc.requestor.address)
            self.dul.kill_dul()
            self.dul.socket.close()
            self.dul.to_user_queue.put(None)  # whoever waits for an association request need not wait on
