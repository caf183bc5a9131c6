"""Planned orders for tests: every modality and locale, and the share of traps asked for."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from app.domain.order import MODALITIES, Order
from app.domain.planning import OrderPlanner
from app.domain.template import LOCALES, Template

RUN_KEY = "7K3QX0AB"
SEED = 20260105
BASE_TIME = datetime(2026, 1, 5, 8, 0)  # noqa: DTZ001 - local time of the simulated department


def template(**values: Any) -> Template:
    document = {
        "name": "sample",
        "modalities": dict.fromkeys(MODALITIES, 1),
        "study": {"preset": "compact"},
        "population": {"locales": LOCALES},
        "steps": [{"type": "GENERATE_HL7"}],
    }
    return Template.model_validate(document | values)


def planner(seed: int = SEED, run_key: str = RUN_KEY, base_time: datetime = BASE_TIME, **values: Any) -> OrderPlanner:
    return OrderPlanner(template(**values), seed, run_key, base_time)


def orders(count: int, **values: Any) -> list[Order]:
    plan = planner(**values)
    return [plan.order(number) for number in range(count)]
