"""The flags of ``yeeter run`` as a :class:`~app.runs.start.RunRequest`: every problem is named by its flag."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from pydantic import ValidationError

from app.cli.documents import is_file_name, parse_value, read_document
from app.domain.destination import DicomDestination, Hl7Destination
from app.domain.duration import parse_duration
from app.domain.errors import InvalidInput, Problem
from app.domain.template import problems_of
from app.domain.threshold import parse_threshold
from app.runs.start import RunRequest

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class RunFlags:
    """What was typed; None or empty where nothing was."""

    template: str
    orders: int | None = None
    duration: str | None = None
    seed: int | None = None
    run_key: str | None = None
    base_time: str | None = None
    hl7: str | None = None
    pacs: str | None = None
    rate: float | None = None
    connections: int | None = None
    thresholds: Sequence[str] = ()
    settings: Sequence[str] = ()
    labels: Sequence[str] = ()


def run_request(flags: RunFlags) -> RunRequest:
    """The request that the flags make.

    Raises:
        InvalidInput: all that is wrong with them, each with its flag.
    """
    reader = _Reader()
    hl7 = reader.read(_hl7, flags.hl7, "--hl7")
    dicom = reader.read(_dicom, flags.pacs, "--pacs")
    base_time = reader.read(_base_time, flags.base_time, "--base-time")
    duration = reader.read(parse_duration, flags.duration, "--duration")
    for expression in flags.thresholds:
        reader.read(parse_threshold, expression, "--threshold")
    settings = [reader.read(_pair, text, "--set") for text in flags.settings]
    labels = [reader.read(_pair, text, "--label") for text in flags.labels]
    template = reader.read(_template, flags.template, "")
    overrides = {path: reader.read(_yaml, text, f"--set {path}") for path, text in filter(None, settings)}
    reader.raise_problems()
    assert template is not None
    if flags.rate is not None:
        overrides = {"arrival": {"model": "constant", "rate": flags.rate}} | overrides
    if flags.connections is not None and hl7 is not None:
        hl7["connections"] = flags.connections
    return RunRequest(
        template=template,
        orders=flags.orders,
        duration=duration,
        seed=flags.seed,
        run_key=flags.run_key,
        base_time=base_time,
        hl7=hl7,
        dicom=dicom,
        thresholds=tuple(flags.thresholds),
        overrides=overrides,
        labels=dict(pair for pair in labels if pair),
    )


def read_flag(parse: Callable[[Any], Value], text: str | None, flag: str) -> Value | None:
    """Parse a flag's value; None where it was not given.

    Raises:
        InvalidInput: it is wrong; the problems name the flag.
    """
    if text is None:
        return None
    try:
        return parse(text)
    except InvalidInput as error:
        problems = [Problem(problem.field or flag, problem.problem, problem.cure) for problem in error.problems]
        raise InvalidInput(*problems) from error
    except ValidationError as error:
        problems = [Problem(flag, problem.problem, problem.cure) for problem in problems_of(error)]
        raise InvalidInput(*problems) from error
    except ValueError as error:
        problem, _, cure = str(error).partition("; ")
        raise InvalidInput(Problem(flag, problem, cure)) from error


class _Reader:
    """Reads flags one by one and keeps the problems, so that all of them are told at once."""

    def __init__(self) -> None:
        self._problems: list[Problem] = []

    def read(self, parse: Callable[[str], Value], text: str | None, flag: str) -> Value | None:
        try:
            return read_flag(parse, text, flag)
        except InvalidInput as error:
            self._problems += error.problems
        return None

    def raise_problems(self) -> None:
        if self._problems:
            raise InvalidInput(*self._problems)


def _template(text: str) -> str | dict[str, Any]:
    return read_document(text) if is_file_name(text) else text


def _hl7(text: str) -> dict[str, Any]:
    return Hl7Destination.model_validate(text).model_dump(mode="json", include={"host", "port"})


def _dicom(text: str) -> dict[str, Any]:
    return DicomDestination.model_validate(text).model_dump(mode="json", include={"aet", "host", "port"})


def _base_time(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise ValueError(f"{text!r} is not a date and time; write for example 2026-03-01T08:00:00") from error
    if moment.tzinfo is not None:
        raise ValueError(f"{text!r} has a time zone; leave it out: it is local time of the simulated department")
    return moment


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        raise ValueError(f"{text!r} is not NAME=VALUE; write for example study.pixels=tiny or site=north")
    return name.strip(), value


def _yaml(text: str) -> Any:
    return parse_value(text, "")
