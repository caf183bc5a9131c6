"""The local database as a backend; it answers with the views of the API."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from app.api.admin_overview import destinations_health, list_queues, purge_queue, release_queue
from app.api.admin_views import DeadLetterView, discard_view, retry_view, statistics_view
from app.api.dead_letter_detail import dead_letter_detail
from app.api.figures import LiveFigures
from app.api.metric_views import run_figures_view, run_metrics_view, share_view
from app.api.order_detail import order_detail
from app.api.reports import compare_page, report_page, run_documents
from app.api.views import (
    FindingView,
    OrderView,
    RunDetailView,
    RunView,
    View,
    event_view,
    template_view,
    validation_view,
)
from app.api.worker_views import decision_view, scale_pool, workers_view
from app.bootstrap import Bundle, prepare_database
from app.cli.backend import Document
from app.cli.backend.paging import collect
from app.domain.run import OrderState, Run, RunState
from app.domain.work import DeadLetterFilter, DeadLetterSelection
from app.ports import Period
from app.reporting.comparison import compare_runs
from app.runs.control import request_cancel, request_pause, request_resume
from app.runs.producing.give_up import give_up
from app.runs.templates import read_replacement, read_template
from app.runs.tending.dead_letters import discard, retry
from app.runs.tending.purge import Fate
from app.runs.tending.remove import remove_run


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
        self._figures = LiveFigures(bundle.database)

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
        with self._database.transaction() as work:
            stored = work.templates.get(name)
        template = read_replacement(document, stored.document, self._bundle.types)
        with self._database.transaction() as work:
            return _document(template_view(work.templates.replace(stored.id, template)))

    def remove_template(self, name: str) -> None:
        with self._database.transaction() as work:
            work.templates.remove(name)

    def validate_template(self, document: Document) -> Document:
        template = read_template(document, self._bundle.types)
        return _document(validation_view(template, self._bundle.settings.rabbitmq_order_queue))

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

    def pause_run(self, name: str) -> Document:
        return _document(RunView.model_validate(request_pause(self._database, name)))

    def resume_run(self, name: str) -> Document:
        return _document(RunView.model_validate(request_resume(self._database, name)))

    def delete_run(self, name: str) -> None:
        remove_run(self._database, name, self._bundle.studies, self._bundle.settings.run_folder)

    def summary(self, name: str) -> Document:
        return self._figures.summary(self._run(name))

    def run_metrics(self, name: str) -> Document:
        return _document(run_metrics_view(self._figures.metrics(self._run(name))))

    def report(self, name: str) -> str:
        return report_page(self._database, self._figures, self._run(name))

    def comparison(self, before: str, after: str) -> Document:
        documents = (run_documents(self._database, self._figures, self._run(name)) for name in (before, after))
        return compare_runs(*documents)

    def comparison_page(self, before: str, after: str) -> str:
        return compare_page(self._database, self._figures, self._run(before), self._run(after))

    def run_figures(self, state: RunState | None, template: str | None, created: Period, limit: int) -> list[Document]:
        def page(after: str | None, count: int) -> tuple[list[Document], str | None]:
            found = self._queries.runs(state=state, template=template, after=after, limit=count, created=created)
            return [_document(run_figures_view(run)) for run in found.rows], found.next_cursor

        return collect(page, limit)

    def worker_figures(self, run: str | None, worker: str | None, ended: Period, limit: int) -> list[Document]:
        run_id = None if run is None else self._run(run).id

        def page(after: str | None, count: int) -> tuple[list[Document], str | None]:
            found = self._queries.worker_shares(run_id=run_id, worker=worker, ended=ended, after=after, limit=count)
            return [_document(share_view(row)) for row in found.rows], found.next_cursor

        return collect(page, limit)

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

    # --- upkeep ---

    @property
    def has_producers(self) -> bool:
        return False

    def dead_letters(self, wanted: DeadLetterFilter, limit: int) -> list[Document]:
        def page(after: str | None, count: int) -> tuple[list[Document], str | None]:
            found = self._queries.dead_letters(wanted, after=after, limit=count)
            return _documents(DeadLetterView, found.rows), found.next_cursor

        return collect(page, limit)

    def dead_letter(self, id_: int) -> Document:
        return _document(dead_letter_detail(self._database, id_))

    def dead_letter_statistics(self) -> Document:
        return _document(statistics_view(self._queries.dead_letter_counts()))

    def retry_dead_letters(self, selection: DeadLetterSelection) -> Document:
        with self._database.transaction() as work:
            return _document(retry_view(retry(work, selection)))

    def discard_dead_letters(self, selection: DeadLetterSelection) -> Document:
        with self._database.transaction() as work:
            return _document(discard_view(discard(work, selection)))

    def queues(self) -> list[Document]:
        return [_document(view) for view in list_queues(self._bundle)]

    def purge_queue(self, name: str, jobs: str) -> Document:
        return _document(purge_queue(self._bundle, name, Fate(jobs)))

    def release_queue(self, name: str) -> Document:
        return _document(release_queue(self._bundle, name))

    def destinations(self) -> Document:
        return _document(destinations_health(self._queries))

    def workers(self) -> Document:
        return _document(workers_view(self._bundle))

    def scale_workers(self, pool: str, replicas: int | None, seconds: float | None) -> Document:
        return _document(scale_pool(self._bundle, pool, replicas, seconds, "yeeter workers scale"))

    def scaling_decisions(self, pool: str | None, limit: int) -> list[Document]:
        def page(after: str | None, count: int) -> tuple[list[Document], str | None]:
            found = self._queries.scaling_decisions(pool, after=after, limit=count)
            return [_document(decision_view(record)) for record in found.rows], found.next_cursor

        return collect(page, limit)

    def _run(self, name: str) -> Run:
        with self._database.transaction() as work:
            return work.runs.get(name)


def _document(view: View) -> Document:
    return view.model_dump(mode="json")


def _documents(kind: type[View], rows: Iterable[Any]) -> list[Document]:
    return [_document(kind.model_validate(row)) for row in rows]
