"""An API as a backend; its problem documents become the errors that the local database would have raised."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any
from urllib.parse import quote

import httpx
from pydantic import SecretStr

from app.cli.backend import Document
from app.cli.backend.paging import collect
from app.domain.errors import Conflict, InvalidInput, NotFound, Problem, Unavailable, YeeterError
from app.domain.run import OrderState, RunState
from app.domain.work import DeadLetterFilter, DeadLetterSelection
from app.ports import Period

TIMEOUT = 30.0  # seconds
TEMPLATES = "/api/simulator/templates"
RUNS = "/api/simulator/runs"
DEAD_LETTERS = "/api/admin/dead-letters"
WORKERS = "/api/admin/workers"
QUEUES = "/api/admin/queues"
_ERRORS: dict[int, type[YeeterError]] = {404: NotFound, 409: Conflict, 503: Unavailable}


class RemoteBackend:
    """See :class:`app.cli.backend.Backend`; a context manager that holds the connection.

    Args:
        server: base address, e.g. ``http://127.0.0.1:8000``.
        transport: another way to reach it (tests).
        token: what it asks its callers for.

    Raises:
        InvalidInput: no such address, or no such token.
    """

    def __init__(
        self, server: str, transport: httpx.BaseTransport | None = None, *, token: SecretStr | None = None
    ) -> None:
        self._server = server.rstrip("/")
        try:
            url = httpx.URL(self._server)
        except httpx.InvalidURL as error:
            raise InvalidInput(Problem("--server", f"{server!r}: {error}", "e.g. http://127.0.0.1:8000")) from error
        if url.scheme not in ("http", "https") or not url.host:
            raise InvalidInput(Problem("--server", f"{server!r} is not an address", "e.g. http://127.0.0.1:8000"))
        self._client = httpx.Client(base_url=url, headers=_headers(token), timeout=TIMEOUT, transport=transport)

    def __enter__(self) -> RemoteBackend:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def check(self) -> str:
        """What it is. Raises Unavailable when it, or what it needs, is not ready."""
        status = self._ask("GET", "/api/monitoring/status")
        missing = [status[name]["detail"] for name in ("database", "broker") if not status[name]["ready"]]
        if missing:
            raise Unavailable(f"{self._server} is not ready: {'; '.join(missing)}")
        return f"{self._server}: version {status['version']}, {status['database']['detail']}"

    # --- templates ---

    def templates(self) -> list[Document]:
        return list(self._ask("GET", TEMPLATES)["items"])

    def template(self, name: str) -> Document:
        return self._ask("GET", _path(TEMPLATES, name))

    def add_template(self, document: Document) -> Document:
        return self._ask("POST", TEMPLATES, document)

    def replace_template(self, name: str, document: Document) -> Document:
        return self._ask("PUT", _path(TEMPLATES, name), document)

    def remove_template(self, name: str) -> None:
        self._ask("DELETE", _path(TEMPLATES, name))

    def validate_template(self, document: Document) -> Document:
        return self._ask("POST", f"{TEMPLATES}/validate", document)

    # --- runs ---

    def start_run(self, body: Document) -> Document:
        """Start a run on the server; the run as it stands."""
        return self._ask("POST", RUNS, body)

    def runs(self, state: RunState | None, template: str | None, limit: int) -> list[Document]:
        return self._pages(RUNS, {"state": state, "template": template}, limit)

    def run(self, name: str) -> Document:
        return self._ask("GET", _path(RUNS, name))

    def cancel_run(self, name: str) -> Document:
        return self._ask("POST", f"{_path(RUNS, name)}/cancel")

    def pause_run(self, name: str) -> Document:
        return self._ask("POST", f"{_path(RUNS, name)}/pause")

    def resume_run(self, name: str) -> Document:
        return self._ask("POST", f"{_path(RUNS, name)}/resume")

    def delete_run(self, name: str) -> None:
        self._ask("DELETE", _path(RUNS, name))

    def summary(self, name: str) -> Document:
        return self._ask("GET", f"{_path(RUNS, name)}/metrics")

    def run_metrics(self, name: str) -> Document:
        return self._ask("GET", f"{_path(RUNS, name)}/metrics/detail")

    def report(self, name: str) -> str:
        return self._page(f"{_path(RUNS, name)}/report")

    def comparison(self, before: str, after: str) -> Document:
        return self._ask("GET", _comparison(before, after))

    def comparison_page(self, before: str, after: str) -> str:
        return self._page(f"{_comparison(before, after)}?format=html")

    def run_figures(self, state: RunState | None, template: str | None, created: Period, limit: int) -> list[Document]:
        return self._pages("/api/metrics/runs", {"state": state, "template": template} | _moments(created), limit)

    def worker_figures(self, run: str | None, worker: str | None, ended: Period, limit: int) -> list[Document]:
        return self._pages("/api/metrics/workers", {"run": run, "worker": worker} | _moments(ended), limit)

    def findings(self, name: str, limit: int) -> list[Document]:
        return self._pages(f"{_path(RUNS, name)}/findings", {}, limit)

    # --- orders and events ---

    def orders(self, name: str, state: OrderState | None, search: str | None, limit: int) -> list[Document]:
        return self._pages(f"{_path(RUNS, name)}/orders", {"state": state, "search": search}, limit)

    def order(self, name: str, number: int) -> Document:
        return self._ask("GET", f"{_path(RUNS, name)}/orders/{number}")

    def events(self, name: str, after: str | None, limit: int) -> tuple[list[Document], str | None]:
        page = self._ask("GET", f"{_path(RUNS, name)}/events", query={"after": after, "limit": limit})
        return page["items"], page["next_cursor"]

    # --- upkeep ---

    @property
    def has_producers(self) -> bool:
        return True

    def dead_letters(self, wanted: DeadLetterFilter, limit: int) -> list[Document]:
        return self._pages(DEAD_LETTERS, asdict(wanted), limit)

    def dead_letter(self, id_: int) -> Document:
        return self._ask("GET", f"{DEAD_LETTERS}/{id_}")

    def dead_letter_statistics(self) -> Document:
        return self._ask("GET", f"{DEAD_LETTERS}/statistics")

    def retry_dead_letters(self, selection: DeadLetterSelection) -> Document:
        return self._ask("POST", f"{DEAD_LETTERS}/retry", _selection(selection))

    def discard_dead_letters(self, selection: DeadLetterSelection) -> Document:
        return self._ask("POST", f"{DEAD_LETTERS}/discard", _selection(selection))

    def queues(self) -> list[Document]:
        return list(self._ask("GET", QUEUES)["items"])

    def purge_queue(self, name: str, jobs: str) -> Document:
        return self._ask("POST", f"{_path(QUEUES, name)}/purge", {"jobs": jobs})

    def release_queue(self, name: str) -> Document:
        return self._ask("POST", f"{_path(QUEUES, name)}/release")

    def destinations(self) -> Document:
        return self._ask("GET", "/api/monitoring/health/destinations")

    def workers(self) -> Document:
        return self._ask("GET", WORKERS)

    def scale_workers(self, pool: str, replicas: int | None, seconds: float | None) -> Document:
        return self._ask("POST", f"{WORKERS}/scale", {"pool": pool, "replicas": replicas, "seconds": seconds})

    def scaling_decisions(self, pool: str | None, limit: int) -> list[Document]:
        return self._pages("/api/admin/scaling-decisions", {"pool": pool}, limit)

    def _pages(self, path: str, query: Mapping[str, Any], limit: int) -> list[Document]:
        def page(after: str | None, count: int) -> tuple[list[Document], str | None]:
            found = self._ask("GET", path, query={**query, "after": after, "limit": count})
            return found["items"], found["next_cursor"]

        return collect(page, limit)

    def _ask(
        self, method: str, path: str, body: Document | None = None, query: Mapping[str, Any] | None = None
    ) -> Document:
        """The answer's document, empty where it has none."""
        parameters = {name: value for name, value in (query or {}).items() if value is not None}
        response = self._request(method, path, json=body, params=parameters)
        if response.is_success and not response.content:
            return {}
        try:
            document = dict(response.json())
        except (ValueError, TypeError) as error:
            raise self._not_ours(response) from error
        if response.is_success:
            return document
        raise self._error(response, document)

    def _page(self, path: str) -> str:
        """A page of HTML."""
        response = self._request("GET", path)
        if response.is_success:
            return response.text
        try:
            raise self._error(response, dict(response.json()))
        except (ValueError, TypeError) as error:
            raise self._not_ours(response) from error

    def _request(self, method: str, path: str, **parts: Any) -> httpx.Response:
        try:
            return self._client.request(method, path, **parts)
        except httpx.HTTPError as error:
            reason = str(error) or type(error).__name__
            raise Unavailable(f"the API at {self._server} can't be reached: {reason}; is `yeeter serve` up?") from error

    def _error(self, response: httpx.Response, document: Document) -> YeeterError:
        problems, detail = document.get("problems"), document.get("detail")
        if not isinstance(detail, str):
            return self._not_ours(response)
        if response.status_code == 422 and problems:
            return InvalidInput(*(Problem(**problem) for problem in problems))
        if response.status_code in (400, 413, 415, 422):
            return InvalidInput(Problem("", detail))
        if response.status_code == 401:
            has_token = "Authorization" in response.request.headers
            problem = "does not know the token in YEETER_TOKEN" if has_token else "asks for a token: set YEETER_TOKEN"
            return YeeterError(f"{self._server} {problem}; `yeeter tokens create` makes one, on its machine")
        return _ERRORS.get(response.status_code, YeeterError)(detail)

    def _not_ours(self, response: httpx.Response) -> YeeterError:
        return YeeterError(f"{self._server} answered {response.status_code}, not as this API does; check the address")


def _headers(token: SecretStr | None) -> dict[str, str]:
    text = token.get_secret_value().strip() if token else ""
    if not text:
        return {}
    if not text.isascii() or not text.isprintable() or " " in text:
        raise InvalidInput(Problem("YEETER_TOKEN", "is no token", "set what `yeeter tokens create` showed"))
    return {"Authorization": f"Bearer {text}"}


def _selection(selection: DeadLetterSelection) -> Document:
    if selection.ids:
        return {"ids": list(selection.ids)}
    wanted = {name: value for name, value in asdict(selection.wanted).items() if name != "state"}
    return {name: value for name, value in wanted.items() if value is not None} | {"limit": selection.limit}


def _comparison(before: str, after: str) -> str:
    return f"{_path(RUNS, before)}/comparison/{quote(after, safe='')}"


def _moments(period: Period) -> dict[str, str | None]:
    """As a query; a moment's zone is written, or the server would take it for UTC."""
    moments = {"since": period.since, "until": period.until}
    return {name: None if moment is None else moment.isoformat() for name, moment in moments.items()}


def _path(collection: str, name: str) -> str:
    return f"{collection}/{quote(name, safe='')}"
