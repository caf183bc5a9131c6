"""Queue depths as RabbitMQ's management API has them: the only place that tells what consumers hold.

Its statistics lag by seconds; the totals asked for here do not. Whatever goes wrong is said to be that, and never a
queue that is empty.
"""

from __future__ import annotations

import ssl
from collections.abc import Collection, Mapping
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import httpx

from app.domain.errors import InvalidInput, Problem, Unavailable
from app.ports import QueueLoad

MANAGEMENT_PORT, MANAGEMENT_TLS_PORT = 15672, 15671
TOTALS = {"disable_stats": "true", "enable_queue_totals": "true"}  # no statistics: they are old, and costly to collect
SECONDS = 5.0


class RabbitMqQueueMeter:
    """One kept connection, used by one thread at a time."""

    def __init__(self, broker_url: str, management_url: str | None = None, tls: ssl.SSLContext | None = None) -> None:
        """``management_url``: where the API is; None: at its usual port of the broker's host.

        Raises:
            InvalidInput: not a URL.
        """
        broker = urlsplit(broker_url)
        if not broker.hostname:
            raise InvalidInput(Problem("RABBITMQ_URL", "not a URL of the form amqp://user:password@host:port/vhost"))
        secure = broker.scheme == "amqps"
        port = MANAGEMENT_TLS_PORT if secure else MANAGEMENT_PORT
        self._base = (management_url or f"http{'s' * secure}://{_bracketed(broker.hostname)}:{port}").rstrip("/")
        _check(self._base)
        virtual_host = unquote(broker.path[1:]) or "/"
        self._path = f"/api/queues/{quote(virtual_host, safe='')}"
        credentials = (unquote(broker.username or "guest"), unquote(broker.password or "guest"))
        self._client = httpx.Client(
            base_url=self._base, auth=credentials, timeout=SECONDS, verify=tls or True, trust_env=False
        )

    def measure(self, queues: Collection[str]) -> Mapping[str, QueueLoad]:
        rows = self._ask()
        try:
            asked = [row for row in rows if row["name"] in queues]
            found = {row["name"]: QueueLoad(row["messages_ready"], row["messages_unacknowledged"]) for row in asked}
        except (KeyError, TypeError) as error:
            # A node that has just started lists its queues before it knows what they hold.
            raise Unavailable(f"RabbitMQ's management API at {self._base} has no totals yet (ask again)") from error
        return {name: found[name] for name in queues if name in found}

    def close(self) -> None:
        self._client.close()

    def _ask(self) -> list[dict[str, Any]]:
        place = f"RabbitMQ's management API at {self._base}"
        try:
            response = self._client.get(self._path, params=TOTALS)
            response.raise_for_status()
            rows = response.json()
        except httpx.HTTPStatusError as error:
            raise Unavailable(
                f"{place} says {error.response.status_code} ({_cure(error.response.status_code)})"
            ) from error
        except (httpx.HTTPError, ValueError) as error:
            cure = "is the management plugin enabled, and YEETER_RABBITMQ_MANAGEMENT_URL right?"
            raise Unavailable(f"{place}: {error or type(error).__name__} ({cure})") from error
        if not isinstance(rows, list):
            raise Unavailable(f"{place} gave no list of queues (is it RabbitMQ's?)")
        return rows


def _check(management: str) -> None:
    """Raises InvalidInput; its text repeats no part of the URL, which may hold a password."""
    cure = "give it as http://host:15672; user and password are those of RABBITMQ_URL"
    try:
        parts = urlsplit(management)
        is_good = parts.scheme in ("http", "https") and bool(parts.hostname) and "@" not in parts.netloc
        httpx.URL(management)
        assert parts.port is None or parts.port >= 0  # reading it may raise
    except (ValueError, httpx.InvalidURL):
        is_good = False
    if not is_good:
        raise InvalidInput(Problem("YEETER_RABBITMQ_MANAGEMENT_URL", "not a URL that can be used", cure))


def _cure(status: int) -> str:
    match status:
        case 401 | 403:
            return "the user of RABBITMQ_URL needs the tag `monitoring`, and permissions for the virtual host"
        case 404:
            return "check the virtual host of RABBITMQ_URL"
    return "see the broker's log"


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
