"""The page of benchmarks says what every figure is."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from app.bench.figures import STAGE_FIGURES, LaunchFigures
from app.bench.keeping import RATES
from app.bench.orders import OrderFigures
from app.domain.threshold import STAGES

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "benchmarks.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("kind", [LaunchFigures, OrderFigures])
def test_every_figure_is_explained(kind: type) -> None:
    for field in fields(kind):
        assert f"`{field.name}`" in PAGE, field.name


def test_every_suite_stage_and_percentile_is_named() -> None:
    for name in (*(f"yeeter bench {suite}" for suite in RATES), *STAGES, *STAGE_FIGURES):
        assert f"`{name}" in PAGE, name
