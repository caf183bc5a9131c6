"""Starting a run: overrides, identity, refusals that leave nothing behind."""

from __future__ import annotations

from typing import Any

import pytest

from app.domain.errors import Conflict, InvalidInput, NotFound
from app.domain.template import parse_template
from app.runs.start import RunRequest, start_run
from tests.runs.conftest import BASE_TIME, STEPS, TYPES, World

DOCUMENT: dict[str, Any] = {"name": "mine", "orders": 7, "steps": STEPS}
OWN_TEXT = (
    "MSH|^~\\&|SITE|HERE|RIS|THERE|{message_time}||ORM^O01|{control_id}|T|2.3.1\n"
    "PID|1||{patient_id}||{family_name}^{given_name}\n"
    "ORC|NW|{placer}|{filler}\n"
    "OBR|1|{placer}|{filler}|{procedure_code}^{procedure_name}||||||||||||||{accession}||||||{modality}"
)


def start(world: World, template: str | dict[str, Any] = DOCUMENT, **request: Any):  # type: ignore[no-untyped-def]
    return start_run(world.database, TYPES, RunRequest(template, **request), BASE_TIME)


def test_overrides_win_over_the_template(world: World) -> None:
    run = start(
        world,
        orders=3,
        hl7="ris:2575",
        dicom="PACS@pacs:104",
        thresholds=("hl7_ack.p95 < 1s",),
        overrides={"study.pixels": "tiny", "steps.1.queue": "make", "destinations.hl7": "other:1"},
    )
    assert run.requested == 3
    assert run.document["destinations"]["hl7"]["host"] == "other"
    assert run.document["destinations"]["dicom"]["aet"] == "PACS"
    assert run.document["study"]["pixels"] == "tiny"
    assert run.document["steps"][1]["queue"] == "make"
    assert run.document["thresholds"] == ["hl7_ack.p95 < 1s"]


def test_a_later_change_of_the_template_does_not_touch_the_run(world: World) -> None:
    with world.database.transaction() as work:
        work.templates.add(parse_template(DOCUMENT, TYPES))
    run = start(world, "mine")
    with world.database.transaction() as work:
        work.templates.replace("mine", parse_template(DOCUMENT | {"orders": 9}, TYPES))
        assert work.runs.get(run.id).document["orders"] == 7
        assert (run.template_name, run.template_version) == ("mine", 1)


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        ({"run_key": "short"}, "run_key"),
        ({"orders": 0}, "orders"),
        ({"seed": -1}, "seed"),
        ({"overrides": {"study.pixels": "huge"}}, "study.pixels"),
        ({"overrides": {"steps.9.queue": "q"}}, "steps.9.queue"),
        ({"overrides": {"nothing.like.it": 1}}, "nothing"),
        ({"thresholds": ("nonsense",)}, "thresholds"),
        ({"hl7": "nowhere"}, "destinations.hl7"),
        ({"overrides": {"arrival.duration": "soon"}}, "arrival.duration"),
        ({"duration": 0}, "arrival.duration"),
        ({"duration": 1e-6, "overrides": {"arrival": {"model": "poisson", "rate": 1}}}, "arrival.duration"),
        ({"duration": 604_800, "overrides": {"arrival": {"model": "constant", "rate": 100}}}, "arrival.duration"),
        ({"overrides": {"hl7.message": "PID|1"}}, "hl7.message"),
        ({"overrides": {"hl7.message": OWN_TEXT.replace("{accession}", "")}}, "hl7.message"),
        ({"overrides": {"hl7.message": OWN_TEXT.replace("{modality}", "{colour}")}}, "hl7.message"),
    ],
)
def test_a_wrong_request_names_its_field_and_leaves_nothing(world: World, request_: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        start(world, **request_)
    assert any(problem.field.startswith(field) for problem in caught.value.problems), str(caught.value)
    assert world.database.queries.runs(state=None, template=None, after=None, limit=5).rows == []


@pytest.mark.parametrize(
    ("request_", "orders"),
    [
        ({"duration": 600}, 600),  # whatever the template's own number is
        ({"duration": 2.5}, 3),  # at 0, 1 and 2 seconds
        ({"duration": 600, "orders": 5}, 5),
        ({"duration": 600, "orders": 5000}, 600),
        ({"duration": 600, "overrides": {"orders": 5}}, 5),
        ({"duration": 60, "overrides": {"arrival": {"model": "constant", "rate": 2}}}, 120),
        ({"overrides": {"arrival.duration": "1m"}}, 60),
        ({"duration": 60, "overrides": {"arrival": {"model": "burst", "size": 4, "every": 30}}}, 8),
        ({"duration": 3600, "overrides": {"arrival": {"model": "closed"}}}, 7),
    ],
)
def test_a_duration_has_the_orders_that_are_due_within_it(world: World, request_: dict[str, Any], orders: int) -> None:
    run = start(world, DOCUMENT | {"arrival": {"model": "constant", "rate": 1}}, **request_)
    assert run.requested == run.document["orders"] == orders


def test_seed_and_base_time_decide_how_many_orders_are_due(world: World) -> None:
    hourly = list(range(24))  # the run's base time is at 8
    profile = {"arrival": {"model": "profile", "hourly": hourly, "speed": 60}}
    assert start(world, duration=120, overrides=profile).requested == 8 + 9
    poisson = {"arrival": {"model": "poisson", "rate": 10}}
    counts = {start(world, duration=60, seed=seed, overrides=poisson).requested for seed in range(4)}
    assert len(counts) > 1 and all(450 < count < 750 for count in counts)


def test_a_sites_own_text_is_accepted(world: World) -> None:
    assert start(world, overrides={"hl7.message": OWN_TEXT}).document["hl7"]["message"] == OWN_TEXT


def test_a_run_key_is_used_once(world: World) -> None:
    start(world, run_key="7K3QX0AB")
    with pytest.raises(Conflict, match="7K3QX0AB is taken"):
        start(world, run_key="7K3QX0AB")


def test_an_unknown_template_is_not_found(world: World) -> None:
    with pytest.raises(NotFound, match="'nobody'"):
        start(world, "nobody")
