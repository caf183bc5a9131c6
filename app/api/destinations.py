"""Where runs started over the API may send to: the server's own list, and nothing else."""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Callable, Iterable, Sequence

from app.domain.destination import DicomDestination, Hl7Destination, parse_address
from app.domain.errors import InvalidInput, Problem
from app.domain.template import Template

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Destination = Hl7Destination | DicomDestination
_SETTING = "YEETER_ALLOWED_DESTINATIONS"


def resolve(host: str) -> list[str]:
    """Every address that a name has now. Raises OSError."""
    return [str(found[4][0]) for found in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)]


class Allowlist:
    """Hosts, or HOST:PORT, that may be sent to.

    An address has to be listed itself, whatever way it is written (``::ffff:127.0.0.1`` is 127.0.0.1). A name has to be
    listed as that name: what an unlisted one stands for may change after the check. What a listed name stands for is
    its owner's affair, save that it never is a link-local (a cloud's metadata service), multicast or unspecified
    address, unless that one is listed too.
    """

    def __init__(self, entries: Iterable[str], resolve: Callable[[str], Sequence[str]] = resolve) -> None:
        """Raises InvalidInput for an entry that is no host and no HOST:PORT."""
        self._entries = [_entry(text) for text in entries]
        self._resolve = resolve

    def check(self, template: Template) -> None:
        """Raises InvalidInput, naming every destination of the template that may not be sent to."""
        destinations = (("hl7", template.destinations.hl7), ("dicom", template.destinations.dicom))
        problems = [
            Problem(f"destinations.{name}", problem, f"add it to {_SETTING} of the server, or choose another")
            for name, destination in destinations
            if destination is not None and (problem := self._problem(destination))
        ]
        if problems:
            raise InvalidInput(*problems)

    def _problem(self, destination: Destination) -> str:
        host = _normal(destination.host)
        if not self._lists(host, destination.port):
            return f"{destination.address} is not an allowed destination"
        if isinstance(host, str):
            return self._problem_of_name(host, destination)
        return ""

    def _problem_of_name(self, host: str, destination: Destination) -> str:
        try:
            addresses = [_normal(address) for address in self._resolve(host)]
        except OSError as error:
            return f"{destination.host} does not resolve: {error.strerror or error}"
        for address in addresses:
            if _is_special(address) and not self._lists(address, destination.port):
                return f"{destination.host} resolves to {address}, which is not allowed"
        return ""

    def _lists(self, host: str | Address, port: int) -> bool:
        return any(listed == host and listed_port in (None, port) for listed, listed_port in self._entries)


def _normal(host: str) -> str | Address:
    """An address as such, IPv4 mapped into IPv6 unwrapped; a name in lower case."""
    try:
        address = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return host.rstrip(".").lower()
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def _is_special(host: str | Address) -> bool:
    return not isinstance(host, str) and (host.is_link_local or host.is_multicast or host.is_unspecified)


def _entry(text: str) -> tuple[str | Address, int | None]:
    host = _normal(text.strip())
    if not isinstance(host, str) or re.fullmatch(r"[^\s:/@\[\]]+", host):
        return host, None
    try:
        name, port = parse_address(text)
    except ValueError as error:
        raise InvalidInput(
            Problem(_SETTING, f"{text!r} is neither HOST nor HOST:PORT", "e.g. localhost:104")
        ) from error
    return _normal(name), port
