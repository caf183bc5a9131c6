"""Whom the commands ask: the local database, or an API. Both answer with the documents of the REST API."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from app.domain.run import OrderState, RunState
from app.domain.work import DeadLetterFilter, DeadLetterSelection
from app.ports import Period

Document = dict[str, Any]


class Backend(Protocol):
    """All that can be asked; ``name`` is a name, run key or id. The views are those of ``app.api``.

    Raises (all methods): InvalidInput, NotFound, Conflict, Unavailable, each with one line that says what to do.
    """

    # --- templates ---

    def templates(self) -> list[Document]: ...

    def template(self, name: str) -> Document: ...

    def add_template(self, document: Document) -> Document: ...

    def replace_template(self, name: str, document: Document) -> Document: ...

    def remove_template(self, name: str) -> None: ...

    def validate_template(self, document: Document) -> Document:
        """ValidationView, or InvalidInput with every problem."""
        ...

    # --- runs ---

    def runs(self, state: RunState | None, template: str | None, limit: int) -> list[Document]:
        """The newest first."""
        ...

    def run(self, name: str) -> Document: ...

    def cancel_run(self, name: str) -> Document: ...

    def pause_run(self, name: str) -> Document: ...

    def resume_run(self, name: str) -> Document: ...

    def delete_run(self, name: str) -> None: ...

    def summary(self, name: str) -> Document:
        """The final one, or the figures so far."""
        ...

    def run_metrics(self, name: str) -> Document:
        """RunMetricsView: by stage, over time, by worker."""
        ...

    def report(self, name: str) -> str:
        """The run's report, as HTML."""
        ...

    def comparison(self, before: str, after: str) -> Document:
        """ComparisonView."""
        ...

    def comparison_page(self, before: str, after: str) -> str:
        """The same as HTML."""
        ...

    def run_figures(self, state: RunState | None, template: str | None, created: Period, limit: int) -> list[Document]:
        """RunFiguresView, the newest first."""
        ...

    def worker_figures(self, run: str | None, worker: str | None, ended: Period, limit: int) -> list[Document]:
        """WorkerShareRowView: what workers did of runs; the last first."""
        ...

    def findings(self, name: str, limit: int) -> list[Document]: ...

    # --- orders and events ---

    def orders(self, name: str, state: OrderState | None, search: str | None, limit: int) -> list[Document]: ...

    def order(self, name: str, number: int) -> Document: ...

    def events(self, name: str, after: str | None, limit: int) -> tuple[list[Document], str | None]:
        """Events after the cursor, and the cursor to go on from."""
        ...

    # --- upkeep ---

    @property
    def has_producers(self) -> bool:
        """Whether somebody goes on with a run that is reopened, without being asked."""
        ...

    def dead_letters(self, wanted: DeadLetterFilter, limit: int) -> list[Document]:
        """The newest first."""
        ...

    def dead_letter(self, id_: int) -> Document: ...

    def dead_letter_statistics(self) -> Document: ...

    def retry_dead_letters(self, selection: DeadLetterSelection) -> Document: ...

    def discard_dead_letters(self, selection: DeadLetterSelection) -> Document: ...

    def queues(self) -> list[Document]: ...

    def purge_queue(self, name: str, jobs: str) -> Document:
        """``jobs``: what becomes of them, park, dead-letter or cancel."""
        ...

    def release_queue(self, name: str) -> Document: ...

    def destinations(self) -> Document: ...

    def workers(self) -> Document: ...

    def scale_workers(self, pool: str, replicas: int | None, seconds: float | None) -> Document:
        """``replicas``: None has the pool sized by its load again."""
        ...

    def scaling_decisions(self, pool: str | None, limit: int) -> list[Document]:
        """The newest first."""
        ...


@contextmanager
def open_backend(server: str | None) -> Iterator[Backend]:
    """The API that ``server`` or the settings name; otherwise the local database.

    Raises:
        InvalidInput: a setting is wrong.
        Unavailable: the database can't be used.
    """
    from app.settings import load_settings

    settings = load_settings(**({} if server is None else {"server": server}))
    if settings.server:
        from app.cli.backend.remote import RemoteBackend

        with RemoteBackend(settings.server, token=settings.token) as remote:
            yield remote
        return
    from app.bootstrap import bootstrap
    from app.cli.backend.local import LocalBackend, ready_database
    from app.util.logs import configure_logs

    configure_logs("warning", settings.log_format)
    with bootstrap(settings) as bundle:
        ready_database(bundle)
        yield LocalBackend(bundle)
