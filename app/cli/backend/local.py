"""The local database as a backend; it answers with the views of the API."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from app.api.order_detail import order_detail
from app.api.summaries import LiveSummaries
from app.api.views import (
    FindingView,
    OrderView,
    RunDetailView,
    RunView,
    ValidationView,
    View,
    event_view,
    template_view,
)
from app.bootstrap import Bundle, prepare_database
from app.cli.backend import Document
from app.cli.backend.paging import collect
from app.domain.run import OrderState, Run, RunState
from app.runs.give_up import give_up
from app.runs.produce import request_cancel
from app.runs.templates import read_template


def ready_database(bundle: Bundle) -> None:
    """Make the embedded database ready, which is nobody else's; a shared one is migrated on request only.

    Raises:
        Unavailable: it can't be used.
    """
    if bundle.settings.is_sqlite:
        prepare_database(bundle)
    else:
        bundle.database.check()


class LocalBackend:
    """See :class:`app.cli.backend.Backend`."""

    def __init__(self, bundle: Bundle) -> None:
        self._bundle = bundle
        self._database = bundle.database
        self._queries = bundle.database.queries

    # --- templates ---

    def templates(self) -> list[Document]:
        with self._database.transaction() as work:
            return [_document(template_view(row)) for row in work.templates.all()]

    def template(self, name: str) -> Document:
        with self._database.transaction() as work:
            return _document(template_view(work.templates.get(name)))

    def add_template(self, document: Document) -> Document:
        template = read_template(document, self._bundle.types)
        with self._database.transaction() as work:
            return _document(template_view(work.templates.add(template)))

    def replace_template(self, name: str, document: Document) -> Document:
        template = read_template(document, self._bundle.types)
        with self._database.transaction() as work:
            return _document(template_view(work.templates.replace(name, template)))

    def remove_template(self, name: str) -> None:
        with self._database.transaction() as work:
            work.templates.remove(name)

    def validate_template(self, document: Document) -> Document:
        template = read_template(document, self._bundle.types)
        queues = template.queues(self._bundle.settings.rabbitmq_order_queue)
        return _document(ValidationView(valid=True, document=template.model_dump(mode="json"), queues=list(queues)))

    # --- runs ---

    def runs(self, state: RunState | None, template: str | None, limit: int) -> list[Document]:
        def page(after: str | None, count: int) -> tuple[list[Document], str | None]:
            found = self._queries.runs(state=state, template=template, after=after, limit=count)
            return _documents(RunView, found.rows), found.next_cursor

        return collect(page, limit)

    def run(self, name: str) -> Document:
        return _document(RunDetailView.model_validate(self._run(name)))

    def cancel_run(self, name: str) -> Document:
        run = request_cancel(self._database, name)
        if self._bundle.is_embedded and any(free.id == run.id for free in self._queries.runs_to_resume()):
            reason = "cancelled on request, after the process that ran it had gone"
            run = give_up(self._database, run.id, reason, self._bundle.settings.lease_seconds)
        return _document(RunView.model_validate(run))

    def delete_run(self, name: str) -> None:
        with self._database.transaction() as work:
            work.runs.remove(name)

    def summary(self, name: str) -> Document:
        return LiveSummaries(self._database.feed).of(self._run(name))

    def findings(self, name: str, limit: int) -> list[Document]:
        return _documents(FindingView, self._queries.findings(self._run(name).id, limit))

    # --- orders and events ---

    def orders(self, name: str, state: OrderState | None, search: str | None, limit: int) -> list[Document]:
        run = self._run(name)

        def page(after: str | None, count: int) -> tuple[list[Document], str | None]:
            found = self._queries.orders(run.id, state=state, search=search, after=after, limit=count)
            return _documents(OrderView, found.rows), found.next_cursor

        return collect(page, limit)

    def order(self, name: str, number: int) -> Document:
        return _document(order_detail(self._database, self._run(name), number))

    def events(self, name: str, after: str | None, limit: int) -> tuple[list[Document], str | None]:
        found, cursor = self._database.feed.read(self._run(name).id, after, limit)
        return [_document(event_view(recorded)) for recorded in found], cursor

    def _run(self, name: str) -> Run:
        with self._database.transaction() as work:
            return work.runs.get(name)


def _document(view: View) -> Document:
    return view.model_dump(mode="json")


def _documents(kind: type[View], rows: Iterable[Any]) -> list[Document]:
    return [_document(kind.model_validate(row)) for row in rows]
