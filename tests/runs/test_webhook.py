"""A run's webhook: told of its end whatever that is, again where that may help, and with no bearing on the run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from app.domain.errors import Unavailable
from app.domain.run import RunState
from app.domain.webhook import Webhook
from app.ports import DueWebhook
from app.runs.control import request_cancel
from app.runs.producing.give_up import give_up
from app.runs.tending.webhooks import Courier
from tests.runs.conftest import World

URL = "http://ci.example:8080/hooks/s3cret"
NEVER = 3600.0


@dataclass
class FakeWebhookSender:
    """Gives one answer after the other, the last one for good; a text is why there is none."""

    answers: list[int | str] = field(default_factory=lambda: [200])
    posted: list[tuple[dict[str, Any], Mapping[str, str]]] = field(default_factory=list)

    def post(self, webhook: Webhook, body: bytes, headers: Mapping[str, str]) -> int:
        assert webhook.url == URL
        self.posted.append((json.loads(body), headers))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, str):
            raise Unavailable(answer)
        return answer


def tell(world: World, sender: FakeWebhookSender, run_id: str, *, delays: tuple[float, ...] = (0.0, 0.0)) -> list[str]:
    """What is said of it."""
    said: list[str] = []
    Courier(world.database, sender, delays).tell_of(run_id, lambda: False, said.append)
    return said


def test_it_is_told_what_came_of_the_run(world: World) -> None:
    run = world.run_to_end(world.start(webhook={"url": URL}))
    sender = FakeWebhookSender()
    said = tell(world, sender, run.id)
    assert said == ["the webhook http://ci.example:8080 was told of the run's end: it answered 200"]
    assert world.notes(run)[-1:] == said
    ((body, headers),) = sender.posted
    assert body == {
        "run_id": run.id,
        "run_key": run.run_key,
        "template": "test",
        "status": "COMPLETED",
        "verdict": run.verdict,
        "summary": run.summary,
    }
    assert headers["Idempotency-Key"] == f"{run.id}-0"
    assert headers["Content-Type"] == "application/json"
    assert tell(world, sender, run.id) == [] and len(sender.posted) == 1


@pytest.mark.parametrize(
    ("answers", "attempts", "said"),
    [
        ([500, 200], 2, "was told of the run's end after 2 attempts: it answered 200"),
        (["Connection refused", 429, 204], 3, "was told of the run's end after 3 attempts: it answered 204"),
        (["Connection refused"], 3, "could not be told of the run's end after 3 attempts: Connection refused"),
        ([503], 3, "could not be told of the run's end after 3 attempts: it answered 503"),
        ([302], 1, "could not be told of the run's end: it answered 302"),
        ([401], 1, "could not be told of the run's end: it answered 401"),
    ],
)
def test_what_may_be_another_answer_later_is_tried_again(
    world: World, answers: list[int | str], attempts: int, said: str
) -> None:
    run = world.start(orders=1, webhook={"url": URL})
    give_up(world.database, run.id, "test", 5.0)
    sender = FakeWebhookSender(answers)
    assert tell(world, sender, run.id) == [f"the webhook http://ci.example:8080 {said}"]
    assert len(sender.posted) == attempts
    assert {headers["Idempotency-Key"] for _, headers in sender.posted} == {f"{run.id}-0"}
    with world.database.transaction() as work:
        assert work.runs.get(run.id).state is RunState.FAILED


def test_a_cancelled_run_is_told_of_too(world: World) -> None:
    run = world.start(webhook={"url": URL})
    request_cancel(world.database, run.id)
    assert world.run_to_end(run).state is RunState.CANCELLED
    sender = FakeWebhookSender()
    tell(world, sender, run.id)
    assert sender.posted[0][0]["status"] == "CANCELLED"


def test_a_run_without_one_has_nothing_to_tell(world: World) -> None:
    run = world.start(orders=1)
    give_up(world.database, run.id, "test", 5.0)
    sender = FakeWebhookSender()
    assert tell(world, sender, run.id) == [] and sender.posted == []


def test_what_its_producer_did_not_live_to_tell_is_told_by_others(world: World) -> None:
    run = world.start(orders=1, webhook={"url": URL})
    give_up(world.database, run.id, "test", 5.0)
    courier = Courier(world.database, FakeWebhookSender(["away", 200]), (0.0,))
    assert not courier.tell_next()  # its own producer has a head start
    assert courier.tell_next(run.id)
    assert courier.tell_next()
    assert not courier.tell_next()
    assert world.notes(run)[-1].endswith("was told of the run's end after 2 attempts: it answered 200")


def test_a_producer_that_is_to_leave_leaves_it_to_others(world: World) -> None:
    run = world.start(orders=1, webhook={"url": URL})
    give_up(world.database, run.id, "test", 5.0)
    sender = FakeWebhookSender(["away"])
    Courier(world.database, sender, (NEVER,)).tell_of(run.id, lambda: bool(sender.posted), print)
    with world.database.transaction() as work:
        assert work.webhooks.waiting(run.id)


def test_one_that_answers_after_another_has_taken_over_writes_nothing(world: World) -> None:
    run = world.start(orders=1, webhook={"url": URL})
    give_up(world.database, run.id, "test", 5.0)

    class Slow(FakeWebhookSender):
        def post(self, webhook: Webhook, body: bytes, headers: Mapping[str, str]) -> int:
            with world.database.transaction() as work:  # it was told by somebody else meanwhile
                assert work.webhooks.remove(DueWebhook(run.id, 0, 1, webhook, {}))
            return super().post(webhook, body, headers)

    before = world.notes(run)
    assert tell(world, Slow(), run.id) == []
    assert world.notes(run) == before
