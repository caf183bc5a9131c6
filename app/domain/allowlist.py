"""Where may be sent to: the settings' own list, and nothing else."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable, Mapping, Sequence

from app.domain.destination import DicomDestination, Hl7Destination, parse_address
from app.domain.errors import InvalidInput, Problem
from app.domain.template import Template
from app.domain.webhook import Webhook

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Destination = Hl7Destination | DicomDestination | Webhook
_SETTING = "YEETER_ALLOWED_DESTINATIONS"


class Allowlist:
    """Hosts, or HOST:PORT, that may be sent to.

    An address has to be listed itself, whatever way it is written (``::ffff:127.0.0.1`` is 127.0.0.1). A name has to be
    listed as that name: what an unlisted one stands for may change after the check. What a listed name stands for is
    its owner's affair, save that it never is a link-local (a cloud's metadata service), multicast or unspecified
    address, unless that one is listed too.
    """

    def __init__(self, entries: Iterable[str]) -> None:
        """Raises InvalidInput for an entry that is no host and no HOST:PORT."""
        self._entries = [_entry(text) for text in entries]

    def check(self, template: Template, resolve: Callable[[str, int], Sequence[str]]) -> None:
        """Judge a template's destinations by the addresses that ``resolve`` (it may raise OSError) says they have now.

        Raises:
            InvalidInput: names every destination that may not be sent to.
        """
        named = {
            "destinations.hl7": template.destinations.hl7,
            "destinations.dicom": template.destinations.dicom,
            "webhook.url": template.webhook,
        }
        self.check_destinations(named, resolve)

    def check_destinations(
        self, named: Mapping[str, Destination | None], resolve: Callable[[str, int], Sequence[str]]
    ) -> None:
        """As above, for destinations by the names of their fields."""
        problems = [
            Problem(name, problem, f"add it to {_SETTING} of the server, or choose another")
            for name, destination in named.items()
            if destination is not None and (problem := self._problem(destination, resolve))
        ]
        if problems:
            raise InvalidInput(*problems)

    def refusal(self, host: str, port: int, addresses: Iterable[str]) -> str:
        """Why a host with these addresses may not be connected to; empty when it may."""
        normal = _normal(host)
        if not self._lists(normal, port):
            return f"{host}:{port} is not an allowed destination"
        if isinstance(normal, str):
            for address in map(_normal, addresses):
                if _is_special(address) and not self._lists(address, port):
                    return f"{host} resolves to {address}, which is not allowed"
        return ""

    def _problem(self, destination: Destination, resolve: Callable[[str, int], Sequence[str]]) -> str:
        host, port, name = destination.host, destination.port, _normal(destination.host)
        problem = self.refusal(host, port, ())
        if problem or not isinstance(name, str):
            return problem  # and nobody is asked for the address of a name that is not listed
        try:
            return self.refusal(host, port, resolve(name, port))
        except (OSError, UnicodeError) as error:
            return f"{host} does not resolve: {getattr(error, 'strerror', None) or error}"

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
