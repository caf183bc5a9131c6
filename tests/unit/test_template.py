"""Template validation: every problem names its field and, where there is one, its cure."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.errors import InvalidInput, Problem
from app.domain.job import INLINE_QUEUE
from app.domain.template import StepTypes, Template, parse_template, step_queue


def _check_wait(parameters: dict[str, Any]) -> None:
    if "seconds" not in parameters:
        raise InvalidInput(Problem("seconds", "field required", "add it"))


TYPES = StepTypes(
    {
        "GENERATE_HL7": lambda parameters: None,
        "GENERATE_DICOM": lambda parameters: None,
        "SEND_DICOM": lambda parameters: None,
        "WAIT": _check_wait,
    }
)
HL7 = {"type": "GENERATE_HL7", "queue_async": True}
DICOM = {"type": "GENERATE_DICOM"}


def template(**changes: Any) -> dict[str, Any]:
    return {"name": "t", "steps": [HL7, DICOM, {"type": "SEND_DICOM"}]} | changes


def test_a_small_template_is_complete() -> None:
    parsed = parse_template(template(), TYPES)
    assert parsed.queues("jobs") == ("jobs",)
    assert parsed.orders == 1000


@pytest.mark.parametrize(
    ("document", "field", "word"),
    [
        (template(name="No Spaces"), "name", "pattern"),
        (template(name=None), "name", "string"),
        ({"steps": [HL7]}, "name", "required"),
        ({"name": "t"}, "steps", "required"),
        (template(steps=[]), "steps", "at least 1"),
        (template(colour="red"), "colour", "not permitted"),
        (template(orders=0), "orders", "greater than or equal to 1"),
        (template(orders=33_554_433), "orders", "less than or equal"),
        (template(orders="many"), "orders", "integer"),
        (template(modalities={}), "modalities", "at least 1"),
        (template(modalities={"XX": 1}), "modalities.XX", "'CT', 'MR', 'CR' or 'DX'"),
        (template(modalities={"CT": 0}), "modalities.CT", "greater than 0"),
        (template(population={"locales": ["tlh"]}), "population.locales", "unknown locale 'tlh'"),
        (template(population={"twins": 2}), "population.twins", "less than or equal to 1"),
        (template(study={"pixels": "huge"}), "study.pixels", "'full' or 'tiny'"),
        (template(study={"shapes": {"CT": {"series": [3, 1]}}}), "study.shapes.CT.series", "low, high"),
        (template(arrival={"model": "constant"}), "arrival", "needs a rate"),
        (template(arrival={"rate": 5}), "arrival", "takes no rate"),
        (template(destinations={"hl7": "nowhere"}), "destinations.hl7", "not HOST:PORT"),
        (template(destinations={"hl7": "h:99999"}), "destinations.hl7", "not HOST:PORT"),
        (template(destinations={"dicom": "h:104"}), "destinations.dicom", "not AET@HOST:PORT"),
        (template(destinations={"dicom": "SEVENTEENLETTERSX@h:104"}), "destinations.dicom.aet", "16 characters"),
        (template(destinations={"dicom": "A\\B@h:104"}), "destinations.dicom.aet", "pattern"),
        (template(thresholds=["orders.failed"]), "thresholds", "not a threshold"),
        (template(steps=[DICOM]), "steps.0.type", "GENERATE_HL7 is the first step"),
        (template(steps=[HL7, HL7]), "steps.1.type", "only the first"),
        (template(steps=[HL7, {"type": "MAGIC"}]), "steps.1.type", "unknown step type 'MAGIC'"),
        (template(steps=[HL7, {"type": "os:system"}]), "steps.1.type", "pattern"),
        (template(steps=[HL7, {"type": "WAIT"}]), "steps.1.parameters.seconds", "required"),
        (template(steps=[HL7, DICOM | {"queue_async": True}]), "steps.1.queue_async", "only GENERATE_HL7"),
        (template(steps=[HL7 | {"queue": "q"}]), "steps.0.queue", "sent by the producer"),
        (template(steps=[HL7 | {"mode": "queued"}]), "steps.0.mode", "sent by the producer"),
        (template(steps=[HL7, DICOM | {"mode": "inline", "queue": "q"}]), "steps.1.queue", "inline step has no queue"),
        (template(steps=[HL7, DICOM, DICOM | {"mode": "inline"}]), "steps.2.mode", "can't follow a queued"),
        (template(steps=[HL7, DICOM | {"queue": "../etc"}]), "steps.1.queue", "pattern"),
        (template(steps=[HL7, DICOM | {"timeout": 0}]), "steps.1.timeout", "greater than 0"),
        (template(steps=[HL7, DICOM | {"retry": {"max_attempts": 0}}]), "steps.1.retry.max_attempts", "greater than"),
    ],
)
def test_a_problem_names_its_field(document: dict[str, Any], field: str, word: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_template(document, TYPES)
    assert any(problem.field == field and word in problem.problem for problem in caught.value.problems), str(
        caught.value
    )


def test_every_problem_is_told_at_once() -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_template(template(name="X Y", orders=0, colour="red"), TYPES)
    assert {problem.field for problem in caught.value.problems} == {"name", "orders", "colour"}


@pytest.mark.parametrize("document", [None, [], "text", 7])
def test_what_is_no_mapping_is_refused(document: Any) -> None:
    with pytest.raises(InvalidInput, match="a template is a mapping"):
        parse_template(document, TYPES)


@pytest.mark.parametrize(
    ("steps", "queues"),
    [
        ([HL7, DICOM], ["", "jobs"]),
        ([{"type": "GENERATE_HL7"}, DICOM], ["", "jobs"]),
        ([{"type": "GENERATE_HL7", "queue_async": False}, DICOM], ["", INLINE_QUEUE]),
        ([{"type": "GENERATE_HL7", "queue_async": False}, DICOM | {"queue": "q"}], ["", "q"]),
        ([HL7, DICOM | {"mode": "inline"}, {"type": "SEND_DICOM"}], ["", INLINE_QUEUE, "jobs"]),
        ([HL7, DICOM | {"queue": "default"}, {"type": "SEND_DICOM", "queue": "s"}], ["", "jobs", "s"]),
    ],
)
def test_modes_and_queues(steps: list[dict[str, Any]], queues: list[str]) -> None:
    parsed = parse_template(template(steps=steps), TYPES)
    assert [step_queue(parsed, index, "jobs") for index in range(len(steps))] == queues


def test_a_template_survives_its_own_document() -> None:
    parsed = parse_template(
        template(destinations={"hl7": "h:1", "dicom": "A@h:2"}, thresholds=["orders.failed < 3"]), TYPES
    )
    assert parse_template(parsed.model_dump(mode="json", exclude_none=True), TYPES) == parsed


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 10**6) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(sorted(Template.model_fields)), json_values))
def test_any_document_is_a_template_or_an_invalid_input(document: dict[str, Any]) -> None:
    try:
        parse_template(template() | document, TYPES)
    except InvalidInput as error:
        assert error.problems
