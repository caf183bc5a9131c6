"""Orders alone: what is sent, and what is told when it is not accepted."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.bench.orders import OrderBench
from app.domain.errors import Unavailable
from app.domain.template import Template
from tests.contract.database_fixtures import new_run
from tests.runs.fakes import ACCEPTED, REJECTED, UNREACHABLE, FakeOrderSender

SHIPPED = Path(__file__).resolve().parents[2] / "app" / "templates" / "metadata-only.yaml"


@pytest.fixture
def bench() -> OrderBench:
    document: dict[str, Any] = yaml.safe_load(SHIPPED.read_text(encoding="utf-8"))
    base_time = datetime(2026, 1, 5, 8, 30)  # noqa: DTZ001 - local time of the simulated department
    return OrderBench(new_run(requested=70, base_time=base_time), Template.model_validate(document))


def test_every_order_is_sent_once(bench: OrderBench) -> None:
    sender = FakeOrderSender()
    figures = bench.measure(sender, 1)
    assert [order.number for order in sender.sent] == list(range(70))
    assert len({order.control_id for order in sender.sent}) == 70
    assert all(order.message.startswith(b"MSH|") for order in sender.sent)
    assert (figures.accepted, figures.refused, figures.problem) == (70, 0, "")
    assert figures.ack_seconds["p50"] == pytest.approx(ACCEPTED.ack_seconds, rel=0.01)
    rates = (figures.messages_per_second, figures.planned_per_second, figures.rendered_per_second)
    assert min(rates) > 0


def test_what_is_not_accepted_is_told(bench: OrderBench) -> None:
    sender = FakeOrderSender(lambda order: REJECTED if order.number % 10 == 3 else ACCEPTED)
    figures = bench.measure(sender, 1)
    assert (figures.accepted, figures.refused) == (63, 7)
    assert figures.problem == "7 of 70 messages were not accepted"
    assert figures.as_figures()["problem"] == figures.problem


def test_a_receiver_that_is_away_is_an_error(bench: OrderBench) -> None:
    with pytest.raises(Unavailable, match="can't be reached: connection refused"):
        bench.measure(FakeOrderSender(lambda order: UNREACHABLE), 1)
