"""What a page is made of: the documents that the API has of a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class RunDocuments:
    """One run: its view, its summary, its figures in detail, and examples of what went wrong."""

    run: Document
    summary: Document
    metrics: Document
    findings: Sequence[Document] = ()
    failed_orders: Sequence[Document] = ()

    @property
    def headline(self) -> str:
        """PASS, FAIL, INCONCLUSIVE, FAILED or CANCELLED; the run's state while it has not ended."""
        if self.run["state"] in ("FAILED", "CANCELLED") or self.run["verdict"] is None:
            return str(self.run["state"])
        return str(self.run["verdict"]).upper()
