"""The templates that ship with Yeeter are valid, and are what their names say."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest
import yaml

import app
from app.domain.planning import OrderPlanner
from app.domain.template import StepTypes, Template, parse_template, step_queue
from app.hl7.orm import OrmRenderer
from app.hl7.validation import check_message

FILES = sorted((Path(app.__file__).parent / "templates").glob("*.yaml"))
STEPS = ("GENERATE_HL7", "GENERATE_DICOM", "SEND_DICOM")
TYPES = StepTypes({type_: lambda parameters: None for type_ in STEPS})


def shipped(name: str) -> Template:
    return parse_template(yaml.safe_load((FILES[0].parent / f"{name}.yaml").read_text()), TYPES)


def test_all_of_them_ship() -> None:
    names = {"ct-chest", "xr-chest", "mr-brain", "mixed-department", "metadata-only", "split-queues"}
    assert {file.stem for file in FILES} == names


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_each_is_valid_and_described(file: Path) -> None:
    template = shipped(file.stem)
    assert template.name == file.stem
    assert len(template.description) > 40
    assert tuple(step.type for step in template.steps) == STEPS
    assert template.steps[0].queue_async


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_the_orders_of_each_make_valid_messages(file: Path) -> None:
    template = shipped(file.stem)
    planner = OrderPlanner(template, 1, "00000000", datetime(2026, 1, 5, 8))  # noqa: DTZ001
    for number in range(5):
        assert check_message(OrmRenderer(template.hl7).render(planner.order(number))) == []


@pytest.mark.parametrize(
    ("name", "modalities", "body_parts"),
    [("ct-chest", {"CT"}, ("CHEST",)), ("xr-chest", {"CR", "DX"}, ("CHEST",)), ("mr-brain", {"MR"}, ("BRAIN",))],
)
def test_names_say_modality_and_body_part(name: str, modalities: set[str], body_parts: tuple[str, ...]) -> None:
    template = shipped(name)
    assert set(template.modalities) == modalities
    assert template.study.body_parts == body_parts


def test_metadata_only_is_one_tiny_instance() -> None:
    study = shipped("metadata-only").study
    assert (study.pixels, study.preset, study.shapes) == ("tiny", "single", {})


def test_the_mixed_department_is_realistic() -> None:
    template = shipped("mixed-department")
    assert set(template.modalities) == {"CT", "MR", "CR", "DX"}
    assert template.study.preset == "realistic"


def test_split_queues_gives_each_step_a_queue() -> None:
    template = shipped("split-queues")
    assert [step_queue(template, index, "orders") for index in range(3)] == ["", "generate_dicom", "send_dicom"]
    assert shipped("ct-chest").queues("orders") == ("orders",)
