"""The registry: built-in types, third-party ones by setting, and nothing by a user's class path."""

from __future__ import annotations

from typing import Any

import pytest

from app.domain.errors import InvalidInput
from app.ports import StepContext, StepResult, Toolbox
from app.steps.registry import StepRegistry
from tests.runs.fakes import FakeArchive, FakeStudyStore
from tests.steps.fakes import FakeStudySender

TOOLS = Toolbox(FakeStudyStore(), FakeStudySender(), FakeArchive())


class Stamp:
    """A third-party step: made with the toolbox, has parameters of its own."""

    def __init__(self, tools: Toolbox) -> None:
        self.tools = tools

    def check(self, parameters: dict[str, Any]) -> None:
        pass

    def run(self, context: StepContext) -> StepResult:
        return StepResult({"stamped": True})


class Store(Stamp):
    """A third-party step that talks to the order's archive."""

    uses_archive = True


def test_the_built_in_types_are_there() -> None:
    names = StepRegistry(TOOLS).types.names
    assert names == ["GENERATE_DICOM", "GENERATE_HL7", "SEND_DICOM", "VERIFY", "WAIT"]


def test_a_type_of_the_servers_setting_is_registered_and_gets_the_toolbox() -> None:
    registry = StepRegistry(TOOLS, ["STAMP=tests.steps.test_registry:Stamp"])
    step = registry.step("STAMP")
    assert "STAMP" in registry.types
    assert step.tools is TOOLS  # type: ignore[attr-defined]


def test_which_steps_talk_to_the_archive() -> None:
    registry = StepRegistry(TOOLS, ["STAMP=tests.steps.test_registry:Stamp", "STORE=tests.steps.test_registry:Store"])
    assert [name for name in registry.types.names if registry.uses_archive(name)] == ["SEND_DICOM", "STORE", "VERIFY"]
    assert not registry.uses_archive("NO_SUCH_TYPE")


@pytest.mark.parametrize(
    "entry",
    [
        "WAIT=tests.steps.test_registry:Stamp",
        "STAMP",
        "stamp=tests.steps.test_registry:Stamp",
        "STAMP=tests.steps.test_registry",
        "STAMP=no.such:Thing",
        "STAMP=tests.steps.test_registry:NoSuch",
    ],
)
def test_a_setting_that_cannot_be_used_says_so(entry: str) -> None:
    with pytest.raises(InvalidInput, match="YEETER_STEP_TYPES"):
        StepRegistry(TOOLS, [entry])


@pytest.mark.parametrize(
    ("type_", "parameters", "field"),
    [
        ("WAIT", {}, "seconds"),
        ("WAIT", {"seconds": 0}, "seconds"),
        ("WAIT", {"seconds": 1, "minutes": 2}, "minutes"),
        ("VERIFY", {"within": -1}, "within"),
        ("GENERATE_DICOM", {"colour": "red"}, "colour"),
        ("SEND_DICOM", {"colour": "red"}, "colour"),
        ("GENERATE_HL7", {"colour": "red"}, "colour"),
    ],
)
def test_wrong_parameters_name_their_field(type_: str, parameters: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        StepRegistry(TOOLS).types.check(type_, parameters)
    assert [problem.field for problem in caught.value.problems] == [field]
