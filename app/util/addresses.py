"""What a host stands for, asked once for each connection: whoever judges the answer judges what is connected to."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

# As socket.getaddrinfo has it: family, type, protocol, canonical name, address.
Found: TypeAlias = tuple[int, int, int, str, Any]
Resolve: TypeAlias = Callable[[str, int], Sequence[Found]]


def resolve(host: str, port: int) -> list[Found]:
    """Every address that a host has now, to connect to by TCP. Raises OSError or UnicodeError."""
    return [*socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


def look_up(host: str, port: int) -> list[str]:
    """The same as texts, without anything to connect to."""
    return [str(address[0]) for *_, address in resolve(host, port)]


def connect(host: str, port: int, seconds: float, resolve: Resolve = resolve) -> socket.socket:
    """A connection to the first address that takes one.

    Raises:
        OSError: none did; that of the last one.
    """
    fault: OSError = OSError(f"{host} has no address")
    for *_, address in resolve(host, port):
        try:
            return socket.create_connection(address[:2], seconds)
        except OSError as error:
            fault = error
    raise fault
