"""From a URL to what pika connects with."""

from __future__ import annotations

import ssl
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import pika

# In seconds, where the URL does not say otherwise. pika notices a silent peer within 2 * (heartbeat + 5). There is no
# time limit for a blocked connection: the client refuses what it is asked meanwhile, and a new connection would be
# blocked as well.
URL_DEFAULTS = {"heartbeat": "10", "socket_timeout": "5", "stack_timeout": "10"}


def connection_parameters(url: str, name: str, tls: ssl.SSLContext | None) -> pika.URLParameters:
    """Parameters of a connection that the broker's own tools show under ``name``.

    Args:
        url: ``amqp://user:password@host:port/vhost`` or ``amqps://...``, with pika's query parameters.
        tls: what an ``amqps://`` URL without ``ssl_options`` of its own trusts and shows; None: the system's CAs.

    Raises:
        ValueError: no such URL; the text does not repeat it, as it may hold a password.
    """
    try:
        parts = urlsplit(url)
        if parts.scheme not in ("amqp", "amqps") or not parts.hostname:
            raise ValueError("scheme or host is missing")
        query = URL_DEFAULTS | dict(parse_qsl(parts.query))
        parameters = pika.URLParameters(urlunsplit(parts._replace(query=urlencode(query))))
    except Exception:  # pika raises whatever it meets; its text may hold a piece of the password, and so may a cause
        raise ValueError("not a URL of the form amqp://user:password@host:port/vhost") from None
    if parts.scheme == "amqps" and tls is not None and "ssl_options" not in query:
        parameters.ssl_options = pika.SSLOptions(tls)  # pika checks the certificate against the URL's host
    parameters.client_properties = {"connection_name": name}
    return parameters


def locate(url: str) -> str:
    """Which broker a URL means, without the password. Raises ValueError as ``connection_parameters`` does."""
    parameters = connection_parameters(url, "", None)
    user, host = parameters.credentials.username, parameters.host
    return f"{host}:{parameters.port} (virtual host {parameters.virtual_host}, user {user})"
