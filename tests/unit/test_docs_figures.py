"""The page about figures names what there is."""

from __future__ import annotations

import re
from pathlib import Path

from app.api.application import ROUTERS
from app.api.routes import metrics
from app.domain.threshold import STAGES
from app.runs.reading.course import FINEST, MOST

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "figures.md").read_text(encoding="utf-8")


def test_every_stage_is_explained() -> None:
    assert [stage for stage in STAGES if f"| `{stage}` |" not in PAGE] == []


def test_every_address_of_figures_is_named_and_every_address_is_one() -> None:
    named = set(re.findall(r"`(?:GET )?(/api/[a-z{}/_-]+)", PAGE))
    paths = {route.path for router in ROUTERS for route in router.routes}  # type: ignore[attr-defined]
    assert named - paths - {"/api/simulator/runs/{id}/metrics/stages"} == set()
    wanted = {route.path for route in metrics.router.routes}  # type: ignore[attr-defined]
    assert wanted - named == {"/api/simulator/runs/{id}/metrics/{table}.csv"}


def test_intervals_are_as_the_page_says() -> None:
    assert f"at most {MOST} intervals of a quarter of a second" in PAGE and FINEST == 0.25
