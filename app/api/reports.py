"""What reports and comparisons of runs are made of."""

from __future__ import annotations

from app import __version__
from app.api.figures import LiveFigures
from app.api.metric_views import run_metrics_view
from app.api.views import FindingView, OrderView, RunDetailView
from app.domain.run import OrderState, Run
from app.ports import Database
from app.reporting.comparison import comparison_page
from app.reporting.documents import RunDocuments
from app.reporting.run_report import run_report

FINDINGS = 50  # that a report names
FAILED_ORDERS = 1000  # that it sorts by kind


def report_page(database: Database, figures: LiveFigures, run: Run) -> str:
    """The report of a run as it is now. Raises Unavailable."""
    return run_report(run_documents(database, figures, run), __version__)


def compare_page(database: Database, figures: LiveFigures, before: Run, after: Run) -> str:
    """Two runs beside each other. Raises Unavailable."""
    first, second = (run_documents(database, figures, run) for run in (before, after))
    return comparison_page(first, second, __version__)


def run_documents(database: Database, figures: LiveFigures, run: Run) -> RunDocuments:
    """Raises Unavailable."""
    findings = database.queries.findings(run.id, FINDINGS)
    failed = database.queries.orders(run.id, state=OrderState.FAILED, search=None, after=None, limit=FAILED_ORDERS)
    return RunDocuments(
        run=RunDetailView.model_validate(run).model_dump(mode="json"),
        summary=figures.summary(run),
        metrics=run_metrics_view(figures.metrics(run)).model_dump(mode="json"),
        findings=[FindingView.model_validate(finding).model_dump(mode="json") for finding in findings],
        failed_orders=[OrderView.model_validate(order).model_dump(mode="json") for order in failed.rows],
    )
