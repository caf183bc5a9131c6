"""A pynetdicom connection on which no peer can keep us reading for ever, or fill our memory.

Of pynetdicom's own: a PDU is read to its announced end, be that 4 GiB away or never to come, and a message that nobody
ends is collected in memory.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import structlog
from pynetdicom.transport import AssociationSocket

_HEADER_SIZE = 6

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class ReadLimits:
    """What is read of one peer."""

    pdu_size: int = 1 << 20  # bytes; what we announce for P-DATA-TF is less
    message_size: int = 1 << 29  # bytes of a message, most of them an instance's
    pdu_seconds: float = 30.0  # from the first byte of a PDU to its last


class LimitedSocket(AssociationSocket):  # type: ignore[misc]
    """Replaces the socket of an association that is connected; what goes beyond the limits ends the connection."""

    def __init__(self, assoc: Any, connected: Any, limits: ReadLimits) -> None:
        super().__init__(assoc, client_socket=connected)
        assoc.dul.event_queue.get_nowait()  # it announced the connection, which is known already
        assoc.dul.socket = self
        self.connected = connected  # also when ``socket`` is None already
        self._begun = time.monotonic()  # when the PDU that is being read began
        self._limits = limits
        connected.settimeout(limits.pdu_seconds)  # a write, too, ends when it makes no progress for that long

    def recv(self, nr_bytes: int) -> bytearray:
        """The header or the rest of a PDU; less when the peer ended the connection.

        Raises:
            OSError: the PDU, or the message that it is a part of, is too long, or it does not come to its end in time.
        """
        if nr_bytes == _HEADER_SIZE:
            self._begun = time.monotonic()
        if nr_bytes > self._limits.pdu_size:
            raise self._refuse(f"a PDU of {nr_bytes} bytes")
        if nr_bytes > _HEADER_SIZE and self._message_size() + nr_bytes > self._limits.message_size:
            raise self._refuse(f"a message of more than {self._limits.message_size} bytes")
        received = bytearray(nr_bytes)
        read = self._read_into(memoryview(received))
        return received if read == nr_bytes else received[:read]

    def _read_into(self, target: memoryview) -> int:
        read = 0
        while read < len(target):
            count = self.connected.recv_into(target[read:])
            if not count:
                break
            read += count
            if time.monotonic() - self._begun > self._limits.pdu_seconds:
                raise self._refuse("a PDU that comes too slowly")
        return read

    def _message_size(self) -> int:
        """Bytes of the unfinished message so far."""
        message = self.assoc.dimse.message
        if message is None:
            return 0
        return int(message.encoded_command_set.tell() + message.data_set.tell())

    def _refuse(self, what: str) -> OSError:
        log.warning("association ended", reason=what, peer=self.assoc.remote["address"])
        return OSError(what)
