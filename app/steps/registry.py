"""The registry of step types: the built-in ones, and third-party ones.

A third-party type is a class with the methods of :class:`app.ports.Step`, made with a :class:`app.ports.Toolbox`. It is
registered by an entry point of group ``yeeter.steps`` (its name is the type), or in the server's own setting
``YEETER_STEP_TYPES`` as ``NAME=module:Class``. A template names registered types only: a class path from a user would
be remote code execution. One that talks to the order's DICOM destination says so with ``uses_archive = True``: its jobs
wait while that destination is away, and what becomes of it is told to the others.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Sequence
from importlib.metadata import entry_points

from app.domain.errors import InvalidInput, Problem
from app.domain.template import TYPE_PATTERN, StepTypes
from app.ports import Step, Toolbox
from app.steps.generate_dicom import GenerateDicom
from app.steps.generate_hl7 import GenerateHl7
from app.steps.send_dicom import SendDicom
from app.steps.verify import Verify
from app.steps.wait import Wait

Factory = Callable[[Toolbox], Step]

BUILT_IN: dict[str, Factory] = {
    "GENERATE_HL7": GenerateHl7,
    "GENERATE_DICOM": GenerateDicom,
    "SEND_DICOM": SendDicom,
    "VERIFY": Verify,
    "WAIT": Wait,
}


class StepRegistry:
    """The steps that this process can run, by type."""

    def __init__(self, tools: Toolbox, configured: Sequence[str] = ()) -> None:
        third_party: dict[str, Factory] = {point.name: point.load() for point in entry_points(group="yeeter.steps")}
        third_party.update(_load(entry) for entry in configured)
        for name in third_party.keys() & BUILT_IN.keys():
            raise InvalidInput(Problem("YEETER_STEP_TYPES", f"{name} is built in", "give your step type another name"))
        factories = BUILT_IN | third_party
        self._steps = {name: factory(tools) for name, factory in factories.items()}

    @property
    def types(self) -> StepTypes:
        return StepTypes({name: step.check for name, step in self._steps.items()})

    def step(self, type_: str) -> Step:
        """Raises KeyError for a type that this process does not have."""
        return self._steps[type_]

    def uses_archive(self, type_: str) -> bool:
        """Whether its class says so (``uses_archive = True``): it talks to the order's DICOM destination."""
        return bool(getattr(self._steps.get(type_), "uses_archive", False))


def _load(entry: str) -> tuple[str, Factory]:
    name, _, path = entry.partition("=")
    module, _, attribute = path.partition(":")
    if not re.fullmatch(TYPE_PATTERN, name) or not module or not attribute:
        raise InvalidInput(
            Problem("YEETER_STEP_TYPES", f"{entry!r} is not NAME=module:Class", "e.g. MY_STEP=pkg.mod:MyStep")
        )
    try:
        return name, getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise InvalidInput(Problem("YEETER_STEP_TYPES", f"can't load {entry!r}: {error}")) from error
