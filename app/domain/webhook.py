"""A run's webhook: the address that is told of its end, and the headers that let us in there.

Headers hold secrets. They are stored, because somebody has to send them; whatever is shown has HIDDEN in their place.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any
from urllib.parse import SplitResult, urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator

from app.domain.errors import InvalidInput, Problem

HIDDEN = "(hidden)"
# Those of the connection, and those that say what is sent.
OUR_HEADERS = frozenset(
    ("connection", "content-length", "content-type", "host", "idempotency-key", "transfer-encoding", "user-agent")
)
_PORTS = {"http": 80, "https": 443}

HeaderName = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9!#$%&'*+.^_`|~-]*$")]
HeaderValue = Annotated[str, Field(max_length=4000, pattern=r"^[ -~]*$")]


class Webhook(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    url: str = Field(max_length=2000, pattern=r"^[!-~]*$", description="http:// or https://; it is asked by POST")
    headers: dict[HeaderName, HeaderValue] = Field(
        default_factory=dict, max_length=20, repr=False, description="sent along; never shown"
    )
    timeout: float = Field(default=10.0, gt=0, le=30, description="seconds that one attempt may take")

    @field_validator("url")
    @classmethod
    def _is_address(cls, url: str) -> str:
        parts = _split(url)
        if parts is None or parts.scheme not in _PORTS or not parts.hostname or parts.port == 0:
            raise ValueError("not an address; write for example https://ci.example/hooks/yeeter")
        if parts.username is not None or parts.password is not None:
            raise ValueError("it holds a user or a password, which would be shown; use headers: {Authorization: ...}")
        if parts.fragment:
            raise ValueError("it has a fragment, which is never sent; leave out what follows the #")
        return url

    @field_validator("headers")
    @classmethod
    def _may_be_sent(cls, headers: dict[str, str]) -> dict[str, str]:
        for name, value in headers.items():
            if name.lower() in OUR_HEADERS:
                raise ValueError(f"{name} is not yours to set; remove it")
            if value == HIDDEN:
                raise ValueError(f"{name} was hidden when it was shown; give its value again, or remove it")
        return headers

    @property
    def host(self) -> str:
        return self._parts.hostname or ""

    @property
    def port(self) -> int:
        return self._parts.port or _PORTS[self._parts.scheme]

    @property
    def secure(self) -> bool:
        return self._parts.scheme == "https"

    @property
    def target(self) -> str:
        """What is asked for at the host: path and query."""
        query = f"?{self._parts.query}" if self._parts.query else ""
        return f"{self._parts.path or '/'}{query}"

    def __str__(self) -> str:
        """The address as people are told it: path and query may hold a secret, too."""
        return f"{self._parts.scheme}://{self._parts.netloc}"

    @property
    def _parts(self) -> SplitResult:
        return urlsplit(self.url)


def without_secrets(document: dict[str, Any]) -> dict[str, Any]:
    """A template's document as it may be shown."""
    headers = _headers(document)
    if not headers:
        return document
    return document | {"webhook": document["webhook"] | {"headers": dict.fromkeys(headers, HIDDEN)}}


def with_secrets(document: Any, stored: dict[str, Any]) -> Any:
    """A document that was shown and edited, with the stored headers where they are still hidden.

    Only where its webhook has the stored address: whoever may edit templates need not know the secrets in them.
    """
    hidden = {name for name, value in _headers(document).items() if value == HIDDEN}
    if not hidden or _url(document) != _url(stored):
        return document
    known = {name: value for name, value in _headers(stored).items() if name in hidden}
    webhook = document["webhook"]
    return document | {"webhook": webhook | {"headers": webhook["headers"] | known}}


def check_headers_stay(stored: Mapping[str, Any], changed: Mapping[str, Any]) -> None:
    """A template's headers go to its own address only: whoever may start runs need not know the secrets in them.

    Raises:
        InvalidInput: another address would get them.
    """
    kept = _headers(stored).items() & _headers(changed).items()
    if kept and _url(stored) != _url(changed):
        problem = "the template's own headers are for the template's own webhook.url"
        raise InvalidInput(Problem("webhook.headers", problem, "set webhook.headers, too: {} for none"))


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises where it is no number
    except ValueError:
        return None
    return parts


def _webhook(document: Any) -> Mapping[str, Any]:
    webhook = document.get("webhook") if isinstance(document, Mapping) else None
    return webhook if isinstance(webhook, Mapping) else {}


def _headers(document: Any) -> dict[str, str]:
    """Those that are texts; a document that was not validated may hold anything."""
    headers = _webhook(document).get("headers")
    if not isinstance(headers, Mapping):
        return {}
    return {name: value for name, value in headers.items() if isinstance(name, str) and isinstance(value, str)}


def _url(document: Any) -> Any:
    return _webhook(document).get("url")
