"""SimulationTemplate: the document that says what a run does. Versioned, validated here and nowhere else.

Validation reports every problem with its field path and its cure; the message of a pydantic rule is turned into such a
:class:`~app.domain.errors.Problem`, so that CLI and REST say the same.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from app.domain.arrival import Arrival
from app.domain.destination import DicomDestination, Hl7Destination
from app.domain.errors import InvalidInput, Problem
from app.domain.identity import MAX_ORDERS
from app.domain.job import INLINE_QUEUE
from app.domain.order import Modality, Pixels
from app.domain.procedures import BODY_PARTS, procedures_of
from app.domain.retry import RetryPolicy
from app.domain.threshold import parse_threshold
from app.domain.webhook import Webhook

DEFAULT_QUEUE = "default"  # stands for the server's own order queue (RABBITMQ_ORDER_QUEUE)
NAME_PATTERN = r"^[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?$"
QUEUE_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,126}$"
TYPE_PATTERN = r"^[A-Z][A-Z0-9_]{0,62}$"

Share = Annotated[float, Field(ge=0, le=1)]


class Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Retry(Model):
    """How often a step is tried again after a verdict that may change, and how long it waits for one.

    Delays are rounded up to the rungs of :mod:`app.domain.retry`.
    """

    max_attempts: int = Field(default=3, ge=1, le=20, description="verdicts before the job is dead")
    first_delay: float = Field(default=1.0, ge=0, le=600, description="seconds")
    factor: float = Field(default=2.0, ge=1, le=10)
    cap: float = Field(default=600.0, ge=0, le=600, description="seconds")
    patience: float = Field(
        default=3600.0, ge=0, le=86_400, description="seconds to wait for a destination that gives no verdict"
    )

    @property
    def policy(self) -> RetryPolicy:
        return RetryPolicy(self.max_attempts, self.first_delay, self.factor, self.cap, self.patience)


class Step(Model):
    """One step. ``mode`` is ``inline`` (the producer does it) or ``queued`` (a worker does)."""

    type: str = Field(pattern=TYPE_PATTERN)
    name: str = Field(default="", max_length=64)
    mode: Literal["inline", "queued"] | None = None
    queue_async: bool | None = Field(default=None, description="on GENERATE_HL7: what follows is queued")
    queue: str | None = Field(default=None, pattern=QUEUE_PATTERN)
    job_type: str | None = Field(default=None, max_length=64)
    queue_metadata: dict[str, str | int | float | bool] = Field(default_factory=dict)
    parameters: dict[str, Any] = Field(default_factory=dict)
    retry: Retry = Field(default_factory=Retry)
    timeout: float = Field(default=300.0, gt=0, le=1500, description="seconds")


class Population(Model):
    """Whose orders they are."""

    locales: tuple[str, ...] = Field(
        default=("en", "de", "fr", "es", "pl", "el", "ru", "ja"), min_length=1, description="mimesis locales"
    )
    repeat_patients: Share = Field(default=0.15, description="share of orders for a patient seen before")
    twins: Share = Field(default=0.01, description="share of patients with a twin")
    missing_birth_date: Share = 0.01
    unknown_sex: Share = 0.01
    suffixes: Share = 0.05
    long_names: Share = 0.02

    @field_validator("locales")
    @classmethod
    def _known(cls, locales: tuple[str, ...]) -> tuple[str, ...]:
        unknown = sorted(set(locales) - set(LOCALES))
        if unknown:
            raise ValueError(f"unknown locale {unknown[0]!r}; choose from {', '.join(LOCALES)}")
        return locales


LOCALES = ("cs", "da", "de", "el", "en", "es", "fi", "fr", "hu", "it", "ja", "ko", "nl", "pl", "pt", "ru", "sv", "tr")


class Shape(Model):
    """How many series and instances: inclusive ranges, drawn from the seed."""

    series: tuple[int, int] = (1, 1)
    instances: tuple[int, int] = Field(default=(1, 1), description="instances a series")

    @field_validator("series", "instances")
    @classmethod
    def _ordered(cls, value: tuple[int, int]) -> tuple[int, int]:
        low, high = value
        if not 1 <= low <= high <= 5000:
            raise ValueError("a range is [low, high] with 1 <= low <= high <= 5000")
        return value


class Study(Model):
    """What the studies look like. ``shapes`` replaces the preset for the modalities it names."""

    pixels: Pixels = "full"
    preset: Literal["realistic", "compact", "single"] = "realistic"
    shapes: dict[Modality, Shape] = Field(default_factory=dict)
    body_parts: tuple[str, ...] = Field(default=(), description="only procedures of these parts; empty: all")

    @field_validator("body_parts")
    @classmethod
    def _known(cls, parts: tuple[str, ...]) -> tuple[str, ...]:
        unknown = sorted(set(parts) - set(BODY_PARTS))
        if unknown:
            raise ValueError(f"unknown body part {unknown[0]!r}; choose from {', '.join(BODY_PARTS)}")
        return parts


class Destinations(Model):
    """Where orders and studies go; nothing means the built-in receiver (embedded runs only)."""

    hl7: Hl7Destination | None = None
    dicom: DicomDestination | None = None


class Hl7(Model):
    """What the messages say of their sender, and optionally a site's own ORM text with named placeholders."""

    sending_application: str = Field(default="YEETER", min_length=1, max_length=20)
    sending_facility: str = Field(default="SIMULATION", min_length=1, max_length=20)
    receiving_application: str = Field(default="RIS", min_length=1, max_length=20)
    receiving_facility: str = Field(default="HOSPITAL", min_length=1, max_length=20)
    processing_id: Literal["T", "P", "D"] = "T"
    message: str | None = Field(default=None, max_length=65_536, description="own ORM text, {placeholders} filled in")


class Template(Model):
    """The whole document."""

    name: str = Field(pattern=NAME_PATTERN)
    description: str = Field(default="", max_length=1000)
    orders: int = Field(default=1000, ge=1, le=MAX_ORDERS, description="unless the run says otherwise")
    population: Population = Field(default_factory=Population)
    modalities: dict[Modality, Annotated[float, Field(gt=0, le=1_000_000)]] = Field(
        default={"CT": 1.0}, min_length=1, description="modality mix, as weights"
    )
    study: Study = Field(default_factory=Study)
    arrival: Arrival = Field(default_factory=Arrival)
    hl7: Hl7 = Field(default_factory=Hl7)
    destinations: Destinations = Field(default_factory=Destinations)
    thresholds: tuple[str, ...] = Field(default=(), max_length=100)
    time_limit: float | None = Field(
        default=None, gt=0, le=604_800, description="seconds until a run that has not ended is cancelled and FAILED"
    )
    webhook: Webhook | None = Field(default=None, description="who is told when the run has ended")
    steps: tuple[Step, ...] = Field(min_length=1, max_length=50)

    @field_validator("thresholds")
    @classmethod
    def _parse(cls, expressions: tuple[str, ...]) -> tuple[str, ...]:
        for expression in expressions:
            parse_threshold(expression)
        return expressions

    @model_validator(mode="after")
    def _every_modality_has_procedures(self) -> Template:
        for modality in self.modalities:
            if not procedures_of(modality, self.study.body_parts):
                parts = ", ".join(sorted({procedure.body_part for procedure in procedures_of(modality)}))
                raise ValueError(f"study.body_parts leaves {modality} no procedure; {modality} has {parts}")
        return self

    def queues(self, default_queue: str) -> tuple[str, ...]:
        """The broker queues that the steps use, each once, in order."""
        names = [step_queue(self, index, default_queue) for index in range(len(self.steps))]
        return tuple(dict.fromkeys(name for name in names if name not in ("", INLINE_QUEUE)))


def step_queue(template: Template, index: int, default_queue: str) -> str:
    """Where a step runs: empty for GENERATE_HL7 (the emission itself), ``inline``, or a broker queue's name."""
    if index == 0:
        return ""
    step = template.steps[index]
    if _mode(template, index) == "inline":
        return INLINE_QUEUE
    return default_queue if step.queue in (None, DEFAULT_QUEUE) else str(step.queue)


def _mode(template: Template, index: int) -> str:
    step = template.steps[index]
    if step.mode is not None:
        return step.mode
    if index == 0 or (template.steps[0].queue_async is False and step.queue is None):
        return "inline"
    return "queued"


def parse_template(document: Any, registry: StepTypes) -> Template:
    """A template from a parsed YAML or JSON document.

    Raises:
        InvalidInput: every problem found, each with its field path and cure.
    """
    if not isinstance(document, dict):
        raise InvalidInput(Problem("", "a template is a mapping", "begin with name: and steps:"))
    try:
        template = Template.model_validate(document)
    except ValidationError as error:
        raise InvalidInput(*problems_of(error)) from error
    problems = [
        problem for index in range(len(template.steps)) for problem in _step_problems(template, index, registry)
    ]
    if problems:
        raise InvalidInput(*problems)
    return template


class StepTypes:
    """The step types that a template may name, with the check of their parameters."""

    def __init__(self, checks: dict[str, Any]) -> None:
        self._checks = checks

    @property
    def names(self) -> list[str]:
        return sorted(self._checks)

    def check(self, type_: str, parameters: dict[str, Any]) -> None:
        """Raises InvalidInput, fields relative to the parameters."""
        self._checks[type_](parameters)

    def __contains__(self, type_: str) -> bool:
        return type_ in self._checks


def _step_problems(template: Template, index: int, registry: StepTypes) -> list[Problem]:
    step, where = template.steps[index], f"steps.{index}"
    problems = []
    if (index == 0) != (step.type == "GENERATE_HL7"):
        problems.append(
            Problem(f"{where}.type", "GENERATE_HL7 is the first step and only the first", "begin the steps with it")
        )
    elif step.type not in registry:
        problems.append(
            Problem(f"{where}.type", f"unknown step type {step.type!r}", f"use one of {', '.join(registry.names)}")
        )
    else:
        try:
            registry.check(step.type, step.parameters)
        except InvalidInput as error:
            problems += [
                Problem(f"{where}.parameters.{problem.field}".rstrip("."), problem.problem, problem.cure)
                for problem in error.problems
            ]
    return problems + _mode_problems(template, index)


def _mode_problems(template: Template, index: int) -> list[Problem]:
    step, where = template.steps[index], f"steps.{index}"
    mode = _mode(template, index)
    problems = []
    if step.queue_async is not None and index != 0:
        problems.append(Problem(f"{where}.queue_async", "only GENERATE_HL7 has it", "use mode: queued"))
    if index == 0 and (mode == "queued" or step.queue is not None):
        field = "queue" if step.queue is not None else "mode"
        problems.append(
            Problem(f"{where}.{field}", "orders are sent by the producer", "put queue and mode: queued on later steps")
        )
    elif mode == "inline" and step.queue is not None:
        problems.append(Problem(f"{where}.queue", "an inline step has no queue", "remove it, or use mode: queued"))
    if mode == "inline" and any(_mode(template, i) == "queued" for i in range(index)):
        problems.append(
            Problem(f"{where}.mode", "an inline step can't follow a queued one", "use mode: queued, or move it forward")
        )
    return problems


_CURES = {
    "extra_forbidden": "remove it, or check its spelling",
    "missing": "add it",
}


def problems_of(error: ValidationError) -> list[Problem]:
    """A pydantic error as problems with dotted field paths."""
    return [problem_of(item, item["loc"]) for item in error.errors(include_url=False, include_context=False)]


def problem_of(item: Mapping[str, Any], location: Sequence[int | str]) -> Problem:
    """One item of a pydantic error's list as a problem at ``location``."""
    path = ".".join(str(part) or "''" for part in location if not str(part).startswith(("function-", "[key]")))
    text, _, cure = re.sub(r"^Value error, ", "", item["msg"]).partition("; ")
    return Problem(path, text[:1].lower() + text[1:], cure or _CURES.get(item["type"], ""))
