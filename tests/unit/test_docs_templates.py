"""docs/templates.md names all that a template may hold, and its examples work."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from pydantic import BaseModel

from app.domain.arrival import Arrival
from app.domain.destination import DicomDestination, Hl7Destination
from app.domain.errors import InvalidInput
from app.domain.study_shapes import PRESETS
from app.domain.template import Model, parse_template
from app.domain.threshold import FIGURES, STANDING_THRESHOLDS, parse_threshold
from app.domain.webhook import Webhook
from app.hl7.placeholders import NAMES
from app.ports import Toolbox
from app.runs.templates import read_template
from app.steps.registry import BUILT_IN, StepRegistry
from app.steps.verify import VerifyParameters
from app.steps.wait import WaitParameters
from tests.runs.fakes import FakeArchive, FakeStudyStore
from tests.steps.fakes import FakeStudySender

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "templates.md").read_text(encoding="utf-8")
MODELS: tuple[type[BaseModel], ...] = (
    *Model.__subclasses__(),
    Arrival,
    Hl7Destination,
    DicomDestination,
    Webhook,
    VerifyParameters,
    WaitParameters,
)
TYPES = StepRegistry(Toolbox(FakeStudyStore(), FakeStudySender(), FakeArchive())).types


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.S)


def example() -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(blocks("yaml")[0])
    return document


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_every_field_is_named(model: type[BaseModel]) -> None:
    assert [name for name in model.model_fields if f"`{name}`" not in PAGE] == []


def test_every_step_type_preset_and_placeholder_is_named() -> None:
    assert [name for name in (*BUILT_IN, *PRESETS, *sorted(NAMES)) if f"`{name}`" not in PAGE] == []


def test_every_value_of_a_choice_is_named() -> None:
    choices = {
        value for model in MODELS for field in model.model_fields.values() for value in literals(field.annotation)
    }
    assert {"inline", "tiny", "per_study", "CR"} <= choices
    assert sorted(value for value in choices if f"`{value}`" not in PAGE) == []


def literals(annotation: Any) -> set[str]:
    """The values of the Literals anywhere in an annotation."""
    parts = get_args(annotation)
    return {part for part in parts if isinstance(part, str)}.union(*(literals(part) for part in parts))


def test_the_complete_example_is_a_template() -> None:
    template = parse_template(example(), TYPES)
    assert {step.type for step in template.steps} == set(BUILT_IN)
    assert template.queues("default") == ("default", "send_dicom")


def test_each_arrival_model_has_an_example_that_works() -> None:
    examples = re.findall(r"`(\{model: [^`]+\})`", PAGE)
    shown = [Arrival.model_validate(yaml.safe_load(example)).model for example in examples]
    assert sorted(shown) == sorted(literals(Arrival.model_fields["model"].annotation))


def test_the_own_message_can_be_sent() -> None:
    assert read_template(example() | yaml.safe_load(blocks("yaml")[1]), TYPES).hl7.message


def test_the_standing_thresholds_are_there_and_those_shown_can_be_parsed() -> None:
    assert [expression for expression in STANDING_THRESHOLDS if f"`{expression}`" not in PAGE] == []
    for expression in re.findall(r"`([a-z0-9_.+ ]+ (?:[<>=!]=|[<>]) [^`]+)`", PAGE):
        parse_threshold(expression)


def test_every_figure_is_named() -> None:
    words = {word for figure in FIGURES for word in figure.split(".")} - {"latency_seconds"}
    assert sorted(word for word in words if f"`{word}`" not in PAGE) == []


def test_the_own_step_type_has_what_a_step_needs() -> None:
    names: dict[str, Any] = {}
    exec(blocks("python")[0], names)
    step = names["Notify"](Toolbox(FakeStudyStore(), FakeStudySender(), FakeArchive()))
    step.check({"url": "http://localhost"})
    with pytest.raises(InvalidInput):
        step.check({})
    assert callable(step.run)
