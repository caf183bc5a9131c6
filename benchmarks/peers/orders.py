"""Orders to be sent by ours and by peers: planned beforehand, so that nobody's time has it in it."""

from __future__ import annotations

from datetime import datetime
from functools import cache

import yaml

from app.bootstrap import SHIPPED_TEMPLATES
from app.domain.identity import new_run_key
from app.domain.order import Order, Pixels
from app.domain.planning import OrderPlanner
from app.domain.template import Template

BASE_TIME = datetime(2026, 1, 5, 8, 0)  # noqa: DTZ001 - local time of the simulated department


def planned_orders(count: int, pixels: Pixels = "tiny") -> list[Order]:
    """Orders that nobody has sent yet."""
    planner = new_planner(pixels)
    return [planner.order(number) for number in range(count)]


def new_planner(pixels: Pixels = "tiny") -> OrderPlanner:
    """Of a run of its own of ``metadata-only``: one CT instance an order, 64² or 512² pixels of 16 bit."""
    template = metadata_only()
    template = template.model_copy(update={"study": template.study.model_copy(update={"pixels": pixels})})
    return OrderPlanner(template, seed=1, run_key=new_run_key(), base_time=BASE_TIME)


@cache
def metadata_only() -> Template:
    return Template.model_validate(yaml.safe_load((SHIPPED_TEMPLATES / "metadata-only.yaml").read_text("utf-8")))
