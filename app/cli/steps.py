"""Changing the steps of a template document. What a step may hold is for the template's validation to say."""

from __future__ import annotations

import copy
from collections.abc import Sequence

from app.cli.backend import Document
from app.domain.errors import InvalidInput, NotFound, Problem


def step_values(pairs: Sequence[str]) -> Document:
    """``queue=x parameters.seconds=2`` as dotted path -> value; values are YAML.

    Raises:
        InvalidInput: every pair that is none.
    """
    from app.cli.documents import parse_value

    values: Document = {}
    problems: list[Problem] = []
    for pair in pairs:
        path, equals, text = pair.partition("=")
        if not equals or not path:
            problems.append(Problem("", f"{pair!r} is not KEY=VALUE", "write for example queue=send_dicom"))
            continue
        try:
            values[path] = parse_value(text, path)
        except InvalidInput as error:
            problems += error.problems
    if problems:
        raise InvalidInput(*problems)
    return values


def add_step(document: Document, type_: str, values: Document, at: int | None = None) -> Document:
    """The document with one more step, at the end unless ``at`` says where."""
    steps = list(document["steps"])
    steps.insert(len(steps) if at is None else at, _with({"type": type_}, values))
    return document | {"steps": steps}


def set_step(document: Document, position: int, values: Document) -> Document:
    """The document with one step changed; None takes a setting back to its default. Raises NotFound."""
    steps = list(document["steps"])
    steps[position] = _with(_step(document, position), values)
    return document | {"steps": steps}


def remove_step(document: Document, position: int) -> Document:
    """The document without one step. Raises NotFound."""
    _step(document, position)
    return document | {"steps": [step for index, step in enumerate(document["steps"]) if index != position]}


def _step(document: Document, position: int) -> Document:
    steps: list[Document] = document["steps"]
    if position >= len(steps):
        raise NotFound(f"there is no step {position}; {document['name']} has steps 0 to {len(steps) - 1}")
    return steps[position]


def _with(step: Document, values: Document) -> Document:
    step = copy.deepcopy(step)
    for path, value in values.items():
        *parents, last = path.split(".")
        place = step
        for key in parents:
            child = place.get(key)
            if not isinstance(child, dict):
                place[key] = child = {}
            place = child
        if value is None:
            place.pop(last, None)
        else:
            place[last] = value
    return step
